from policy_cases_check import API, SUITE, complaints, of_page

CASES = {"all": tuple(range(2, SUITE + 1)), "one": (1,)}
ROWS = [("1", "one"), *((str(n), "all") for n in range(2, SUITE + 1))]
ROWS += [(f"A{n + 1}", "`test_api`") for n in range(API)]
TESTS = {"test_api"}


def test_a_page_with_each_case_once_is_right():
    assert not complaints(ROWS, CASES, TESTS)


def test_a_case_that_lacks_or_stands_twice_is_named():
    assert complaints(ROWS[1:], CASES, TESTS)
    assert complaints([*ROWS, ROWS[0]], CASES, TESTS)
    assert complaints([*ROWS, ("50", "all")], CASES, TESTS)


def test_a_test_that_isnt_there_is_named():
    assert complaints([("1", "two"), *ROWS[1:]], CASES, TESTS)
    assert complaints([("1", "all"), *ROWS[1:]], CASES, TESTS)
    assert complaints(ROWS, CASES, set())
    assert complaints(ROWS, CASES | {"new": (1,)}, TESTS)


def test_rows_are_read():
    page = "| place | what | test | remark |\n|---|---|---|---|\n| 1 | nothing | one | |\n"
    page += "| A2 | ports | `test_api` | as core |\n"
    assert of_page(page) == [("1", "one"), ("A2", "`test_api`")]
