import json

from metrics_check import complaints

CODE = [
    '{"multinet_agent_calls_total", "x"}',
    '"multinet_web"; name + "_open"',
    '"multinet_agent_seconds"',
]
PAGE = """
| `multinet_agent_calls_total` | counter | `method`, `code` (`Ok`, `Aborted`) | calls |
| `multinet_agent_seconds` | histogram | | time |
| `multinet_web_open` | gauge | | open |
"""


def rules(expression):
    return f"groups:\n  - alert: One\n    expr: {expression}\n    for: 5m\n"


def board(*expressions):
    return json.dumps({"panels": [{"title": "p", "targets": [{"expr": e} for e in expressions]}]})


def found(expression, code=CODE, page=PAGE):
    return complaints(code, page, rules(expression), board())


def test_what_exists_may_be_asked_for():
    assert not found('sum by (code) (rate(multinet_agent_calls_total{code="Ok"}[5m])) > 0')
    assert not found(
        "histogram_quantile(0.9, sum by (le) (rate(multinet_agent_seconds_bucket[5m])))"
    )
    assert not complaints(
        CODE, PAGE, rules("multinet_web_open"), board('multinet_web_open{job="a"}')
    )


def test_metrics_labels_and_values_that_dont_exist_are_named():
    assert found("multinet_agent_cals_total") == [
        "alert One: there is no metric multinet_agent_cals_total"
    ]
    assert found("multinet_web_open_bucket") == [
        "alert One: there is no metric multinet_web_open_bucket"
    ]
    assert found('multinet_web_open{code="Ok"}') == [
        "alert One: multinet_web_open has no label code"
    ]
    assert found('multinet_agent_calls_total{code=~"Ok|OK"}') == [
        "alert One: code of multinet_agent_calls_total is never 'OK'"
    ]
    assert found("sum by (lane) (multinet_web_open)") == [
        "alert One: groups by lane, which none of its metrics has"
    ]
    assert complaints(CODE, PAGE, rules("multinet_web_open"), board("up")) == [
        "panel 'p': asks for no metric of ours: 'up'"
    ]


def test_code_and_page_are_held_against_each_other():
    assert found("multinet_web_open", code=[*CODE, '"multinet_agent_more"']) == [
        "docs/metrics.md: multinet_agent_more is missing"
    ]
    assert found("multinet_agent_calls_total", code=[CODE[0], CODE[2]]) == [
        "docs/metrics.md: no code has a metric multinet_web_open"
    ]
