import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import pictures_check


def picture(inside):
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 100" font-size="14">'
        + inside
        + "</svg>"
    )


BOX = '<rect x="10" y="10" width="{}" height="40"/><text x="20" y="35">a pod names networks</text>'


def test_a_text_that_fits_its_box_is_fine():
    assert pictures_check.complaints("p", picture(BOX.format(200))) == []


def test_a_text_that_runs_out_of_its_box_is_named():
    (one,) = pictures_check.complaints("p", picture(BOX.format(120)))
    assert one.startswith('p: "a pod names networks" reaches from 20')


def test_a_text_beyond_the_picture_is_named():
    beyond = '<text x="200" y="30">a pod names networks</text>'
    assert pictures_check.complaints("p", picture(beyond))
    assert pictures_check.complaints("p", picture('<text x="20" y="130">low</text>'))


def test_where_a_text_is_anchored_counts():
    end = '<text x="290" y="30" text-anchor="end">a pod names networks</text>'
    assert pictures_check.complaints("p", picture(end)) == []
