"""What the authors of rules work with: check them, explain a decision, test them.

`acteon-server rules check | explain | test` are these functions as commands. From pytest:

```python
def test_our_rules() -> None:
    assert [str(case) for case in run_cases(Path("rules")) if not case.passed] == []
```
"""

from acteon.server.ruletools.cases import Surroundings
from acteon.server.ruletools.checking import Checked, check_rules
from acteon.server.ruletools.explaining import Situation, Story, explain_action
from acteon.server.ruletools.findings import Finding, Severity, findings_about
from acteon.server.ruletools.results import CaseResult, Difference, StepFailure
from acteon.server.ruletools.running import run_cases
from acteon.server.ruletools.sources import RuleSource

__all__ = [
    "CaseResult",
    "Checked",
    "Difference",
    "Finding",
    "RuleSource",
    "Severity",
    "Situation",
    "StepFailure",
    "Story",
    "Surroundings",
    "check_rules",
    "explain_action",
    "findings_about",
    "run_cases",
]
