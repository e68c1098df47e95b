#!/usr/bin/env python3
"""Writes tests/golden/resize.h: what torch.nn.functional.interpolate makes of a small picture, with fractional scales.

usage: python3 make_resize.py >../golden/resize.h      (needs torch; any version: the rules are older than ONNX)

A row says how PyTorch exports the call to ONNX: mode, coordinate_transformation_mode, nearest_mode, cubic_coeff_a, and the
scales it was called with, which PyTorch passes on (recompute_scale_factor left alone)."""
import math
import textwrap

import torch

HEIGHT, WIDTH = 5, 7
# mode of interpolate, align_corners -> mode, coordinates, nearest_mode
FORMS = [
    ("nearest", None, "nearest", "asymmetric", "floor"),
    ("bilinear", True, "linear", "align_corners", "floor"),
    ("bilinear", False, "linear", "half_pixel", "floor"),
    ("bicubic", True, "cubic", "align_corners", "floor"),
    ("bicubic", False, "cubic", "half_pixel", "floor"),
]
SCALES = [(1.5, 1.5), (0.6, 0.6), (2, 3), (1.28, 0.77), (0.3, 2.7), (0.2, 0.15)]


def picture():
    return torch.tensor([math.sin(0.37 * i) for i in range(HEIGHT * WIDTH)], dtype=torch.float64).reshape(1, 1, HEIGHT, WIDTH)


def resized(form, scale):
    options = {} if form[1] is None else {"align_corners": form[1]}
    return torch.nn.functional.interpolate(picture(), scale_factor=scale, mode=form[0], **options)[0, 0]


def main():
    made = [(form, scale, resized(form, scale)) for form in FORMS for scale in SCALES]
    print("/* Made by tests/oracle/make_resize.py with PyTorch %s; x[i] = sin(0.37 i) of 5 x 7. */" % torch.__version__.split("a")[0])
    print("static const struct resize_golden {\n    const char *mode, *coordinates, *nearest;\n    double scale[2];")
    print("    int height, width;\n} resize_golden[] = {")
    for (_, _, *names), scale, y in made:
        print('    {"%s", "%s", "%s", {%.9g, %.9g}, %d, %d},' % (*names, *scale, *y.shape))
    print("};\n/* Row after row. */\n// clang-format off\nstatic const double resize_numbers[] = {")
    numbers = ", ".join("%.9g" % v for _, _, y in made for v in y.flatten().tolist())
    print(textwrap.fill(numbers, 120, initial_indent="    ", subsequent_indent="    ") + "};\n// clang-format on")


main()
