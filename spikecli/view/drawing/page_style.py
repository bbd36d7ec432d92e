"""Style and keys of a page of clouds: text that wraps, figures side by side as the screen allows, no fixed sizes."""

from __future__ import annotations

STYLE = """
body{{margin:0;background:{paper};color:{ink};font:16px/1.4 system-ui,sans-serif}} main{{padding:1rem}}
.plotly-graph-div{{overflow:hidden}}
h1{{font-size:1.4rem;margin:0 0 .5rem}} h2{{font-size:1.1rem;margin:0}} p{{margin:.4rem 0}}
figure{{margin:0;min-width:0}}
.row{{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(15rem,100%),1fr));gap:1rem;margin-bottom:1rem}}
figcaption{{text-align:center;overflow-wrap:anywhere}} .plotly-graph-div{{height:min(62vh,30rem)}}
.alone .plotly-graph-div{{height:78vh}} .plotly-graph-div:focus-visible{{outline:2px solid {ink};outline-offset:2px}}
.ramp{{display:inline-block;width:6rem;height:.7rem;vertical-align:baseline;border:1px solid {faint}}}
"""

# Turn the camera about the vertical with ← and →, up and down with ↑ and ↓; + and − change its distance.
KEYS = """
document.querySelectorAll('.plotly-graph-div').forEach(plot => plot.addEventListener('keydown', event => {
  const turn = {ArrowLeft: [-0.15, 0, 1], ArrowRight: [0.15, 0, 1], ArrowUp: [0, 0.1, 1], ArrowDown: [0, -0.1, 1],
    '+': [0, 0, 0.9], '=': [0, 0, 0.9], '-': [0, 0, 1.1]}[event.key];
  if (!turn) return;
  event.preventDefault();
  const eye = plot._fullLayout.scene._scene.getCamera().eye;
  const distance = Math.hypot(eye.x, eye.y, eye.z) * turn[2];
  const around = Math.atan2(eye.y, eye.x) + turn[0];
  const up = Math.asin(eye.z / Math.hypot(eye.x, eye.y, eye.z)) + turn[1];
  const tilt = Math.max(-1.5, Math.min(1.5, up));
  Plotly.relayout(plot, {'scene.camera.eye': {x: distance * Math.cos(tilt) * Math.cos(around),
    y: distance * Math.cos(tilt) * Math.sin(around), z: distance * Math.sin(tilt)}});
}));
"""
