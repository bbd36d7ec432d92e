"""Counts of events as colors on the theme's background; color-blind people can distinguish the polarities."""

from __future__ import annotations

import numpy as np

from spikecli.view.drawing.theme import Theme

FAINTEST = 0.35  # of the way from the paper to the color: where a single event fell
STEEP = 4.0  # how soon the more frequent polarity gives a pixel its hue alone
FULL = 97.0  # percentile of the lit pixels that gets the full color


def full_count(counts: np.ndarray) -> float:
    """Return the count, of both polarities together, that gets the full color, for counts (…, 2, H, W)."""
    both = counts.sum(axis=-3)
    return max(float(np.percentile(both[both > 0], FULL)), 1.0) if (both > 0).any() else 1.0


def colored(counts: np.ndarray, full: float, theme: Theme) -> np.ndarray:
    """Return colors (…, H, W, 3) in 0…1 of counts (…, 2, H, W): the polarity is the hue, the count the strength."""
    from matplotlib.colors import to_rgb

    paper, darker, brighter = (np.array(to_rgb(color)) for color in (theme.paper, theme.darker, theme.brighter))
    both = counts.sum(axis=-3)
    share = counts[..., 1, :, :] / np.maximum(both, 1e-12)
    share = np.clip((share - 0.5) * STEEP + 0.5, 0, 1)[..., None]  # blue and orange in equal parts are a dull brown
    # A lone event is seen; where faded counts fall below one, so does the color.
    strength = np.clip(both / full, 0, 1) ** 0.6 * (1 - FAINTEST) + FAINTEST * np.clip(both, 0, 1)
    return paper + (darker * (1 - share) + brighter * share - paper) * strength[..., None]
