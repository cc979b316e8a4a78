#!/usr/bin/env python3
"""Every text of every picture stays inside its box, and inside the picture.

Whoever reads a page has fonts of his own, so widths are measured with the widest of the common ones.
Texts of one line only: that is all that our pictures have.
"""

import pathlib
import sys
import xml.etree.ElementTree as xml

# Advance widths of space to tilde in DejaVu Sans, in thousandths of the font's size: as wide as
# Verdana; Helvetica, Arial and Liberation are narrower.
WIDTHS = (
    *(318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337),
    *(636, 636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531),
    *(1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787),
    *(603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500),
    *(500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612),
    *(635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838),
)
OTHER = 838  # any other character: as wide as the widest sign
MARGIN = 4  # between a text's end and its box, in units of the picture
NAMESPACE = "{http://www.w3.org/2000/svg}"
SMALL = {"small": 12.0}  # classes that set a size, as in the pictures' own style


def size_of(element, inherited):
    """The font's size of a text: its class's, its own, or that of the picture."""
    for name in element.get("class", "").split():
        if name in SMALL:
            return SMALL[name]
    return float(element.get("font-size", inherited))


def width(words, size):
    """How far a line reaches, in units of the picture."""
    letters = (ord(letter) - 32 for letter in words)
    return sum(WIDTHS[n] if 0 <= n < len(WIDTHS) else OTHER for n in letters) * size / 1000


def read(picture):
    """(right, bottom), boxes as (x, y, right, bottom), texts as (x, y, size, anchor, words)."""
    root = xml.fromstring(picture)
    _, _, right, bottom = (float(number) for number in root.get("viewBox").split())
    inherited = root.get("font-size", "16")
    boxes, texts = [], []
    for element in root.iter():
        if element.tag == NAMESPACE + "rect":
            x, y = float(element.get("x", 0)), float(element.get("y", 0))
            boxes.append((x, y, x + float(element.get("width")), y + float(element.get("height"))))
        if element.tag == NAMESPACE + "text":
            x, y = float(element.get("x", 0)), float(element.get("y", 0))
            words = "".join(element.itertext())
            texts.append((x, y, size_of(element, inherited), element.get("text-anchor"), words))
    return (right, bottom), boxes, texts


def complaints(name, picture):
    """What runs out of what."""
    (right, bottom), boxes, texts = read(picture)
    found = []
    for x, y, size, anchor, words in texts:
        length = width(words, size)
        start = x - {"middle": length / 2, "end": length}.get(anchor, 0)
        end = start + length
        around = [b for b in boxes if b[0] <= x <= b[2] and b[1] <= y <= b[3]]
        box = min(around, key=lambda b: b[2] - b[0], default=(0, 0, right, bottom))
        # A mark in a diagram may be narrower than the figure beside it: only what begins inside
        # a box with room for its line belongs to the box.
        if box[3] - box[1] < size * 1.5:
            box = (0, 0, right, bottom)
        if start < box[0] or end > box[2] - MARGIN:
            found.append(
                f'{name}: "{words}" reaches from {start:.0f} to {end:.0f}, '
                f"its box from {box[0]:.0f} to {box[2]:.0f}"
            )
        if y > bottom or y < size * 0.7:
            found.append(f'{name}: "{words}" stands outside the picture')
    return found


def main():
    root = pathlib.Path(sys.argv[1])
    pictures = sorted((root / "docs").rglob("*.svg"))
    found = [
        complaint
        for path in pictures
        for complaint in complaints(str(path.relative_to(root)), path.read_text())
    ]
    if not pictures:
        found.append("docs: no picture was found")
    print("\n".join(found) or f"{len(pictures)} pictures hold their texts")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
