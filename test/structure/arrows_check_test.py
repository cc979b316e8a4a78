import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import arrows_check

ARROWS = arrows_check.read_arrows("lib/base:\nlib/api: lib/k8s\nlib/k8s:  # comment\nlib/kube:\n")


def complaints(path, text):
    return arrows_check.check({path: text}, ARROWS)


def test_an_arrow_of_the_table_is_let_through():
    assert complaints("lib/api/a.cc", '#include "lib/k8s/k.h"\n#include "lib/base/result.h"') == []


def test_an_arrow_that_the_table_lacks_is_named_with_its_line():
    (one,) = complaints("lib/kube/a.h", '\n#include "lib/k8s/k.h"')
    assert one.startswith("lib/kube/a.h:2: lib/kube may not use lib/k8s")


def test_what_only_tests_include_may_have_the_fakes_of_every_room():
    fake = '#include "lib/k8s/fake_k.h"'
    assert complaints("lib/kube/fake_node.h", fake) == []
    assert complaints("lib/kube/watch_fixture.h", fake) == []
    assert complaints("lib/kube/watch.h", fake)


def test_an_http_library_stays_in_its_transport():
    assert complaints("lib/kube/client.h", "#include <cpprest/http_client.h>")
    assert not complaints("lib/kube/cpprest_transport.cc", "#include <cpprest/http_client.h>")


def test_a_file_outside_every_room_is_found():
    assert complaints("lib/new/a.cc", "")


def test_a_cycle_is_found():
    assert arrows_check.cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c"]


def test_an_arrow_that_nobody_follows_is_named():
    files = {"lib/api/a.cc": '#include "lib/base/result.h"', "lib/kube/a_test.cc": "#include <a>"}
    (one,) = arrows_check.unused(files, ARROWS)
    assert one == "tools/arrows.txt: lib/api doesn't use lib/k8s; take the arrow out"
    files["lib/api/a.cc"] += '\n#include "lib/k8s/k.h"'
    assert arrows_check.unused(files, ARROWS) == []
