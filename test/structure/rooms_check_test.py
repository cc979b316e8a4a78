import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import rooms_check

PAGE = "# Rooms\ntext\n## lib\n### lib/a\nwhat\nthread\ntests\n### lib/b\nwhat\nthread\ntests\n"


def test_a_page_with_every_room_is_fine():
    assert rooms_check.complaints(PAGE, {"lib/a": set(), "lib/b": set()}) == []


def test_a_missing_room_a_strange_one_and_a_short_one_are_named():
    assert rooms_check.complaints(PAGE, {"lib/a": set(), "lib/b": set(), "lib/c": set()}) == [
        "docs/rooms.md: room lib/c is missing"
    ]
    assert rooms_check.complaints(PAGE, {"lib/a": set()}) == [
        "docs/rooms.md: lib/b isn't a room of tools/arrows.txt"
    ]
    short = PAGE.replace("thread\n", "", 1)
    (one,) = rooms_check.complaints(short, {"lib/a": set(), "lib/b": set()})
    assert one == "docs/rooms.md: lib/a has 2 lines, it must have three"
