from failpoints_check import TABLE, complaints

CODE = {
    "lib/a.cc": 'if (x) MULTINET_CHECK(failpoint::check("a.make.before"));',
    TABLE: '{"claim", &Run::claim, "addresses"},\n{"intent", &Run::i, kDisk, "rollback-x", &Undo::r},',
}
PAGE = """| place | where |
|---|---|
| `sandbox.<step>.before`, `.after` | `claim`, `intent`; when it fails: `rollback-x` |
| `a.make.before`, `.after` | around it |
"""


def test_a_page_with_all_is_fine():
    assert not complaints(CODE, PAGE)


def test_a_place_that_the_page_lacks_is_named():
    page = PAGE.replace("`claim`, ", "")
    assert complaints(CODE, page) == ["docs/failpoints.md: sandbox.claim is missing"]
    code = CODE | {"lib/b.cc": 'failpoint::pass("b.go");'}
    assert complaints(code, PAGE) == ["docs/failpoints.md: b.go is missing"]


def test_a_place_that_no_code_has_is_named():
    page = PAGE.replace("`claim`", "`claim`, `gone`")
    assert complaints(CODE, page) == ["docs/failpoints.md: no code has a place sandbox.gone"]
