"""Pillow: all pictures in the folders of their classes, decoded, turned upright and brought to
64x64 pixels in colour by an antialiased resize, in so many processes; prints the seconds.

    python pillow_pictures.py FOLDER [PROCESSES]
"""

import multiprocessing
import pathlib
import sys
import time

import numpy
from PIL import Image, ImageOps


def read(file):
    picture = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    return numpy.asarray(picture.resize((64, 64), Image.BILINEAR))


if __name__ == "__main__":
    files = sorted(pathlib.Path(sys.argv[1]).glob("*/*"))
    began = time.perf_counter()
    with multiprocessing.Pool(int(sys.argv[2]) if len(sys.argv) > 2 else 2) as pool:
        pictures = numpy.stack(pool.map(read, files, chunksize=32))
    print(f"{len(pictures)} pictures in {time.perf_counter() - began:.2f} s")
