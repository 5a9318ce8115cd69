//! `junit.xml`: a test case for each threshold and each phase, and one for the run itself, so that it is never empty.

use droves_measure::{Judgement, Summary};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// The document.
pub(crate) fn document(summary: &Summary, judgements: &[Judgement]) -> Result<String, quick_junit::SerializeError> {
    let mut suite = TestSuite::new(summary.scenario.clone());
    suite.add_test_case(case("run", summary.verdict.exit_code == 0, &summary.verdict.reasons.join("\n")));
    for phase in &summary.phases {
        let name = format!("phase {}", phase.name);
        suite.add_test_case(case(&name, !phase.in_vain, "what it waited for did not come in time"));
    }
    for judgement in judgements {
        let name = format!("{}: {}", judgement.metric, judgement.expression);
        suite.add_test_case(case(&name, judgement.holds, &format!("measured {}", judgement.said)));
    }
    let mut report = Report::new("droves");
    report.add_test_suite(suite);
    report.to_string()
}

fn case(name: &str, passed: bool, why: &str) -> TestCase {
    let mut status =
        if passed { TestCaseStatus::success() } else { TestCaseStatus::non_success(NonSuccessKind::Failure) };
    if !passed {
        status.set_message(why);
    }
    TestCase::new(name, status)
}
