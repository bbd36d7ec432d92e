"""Choices of fitting NeuroCLIP's adapter that differ between this program and the released code (2306.12073)."""

from __future__ import annotations

from typing import Literal

TextLength = Literal["each", "whole"]  # what has length 1: the text feature of each step, or all T as one vector
Norms = Literal["pooled", "step"]  # batch statistics over all steps, or of each step by itself
Smoothed = Literal["all", "others"]  # classes that share the smoothing: all, or those that are wrong
