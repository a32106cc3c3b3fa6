//! Every policy pack under rules/ decides as its cases file says.

use syncguard::conformance;

use crate::support::repository_file;

#[test]
fn every_pack_decides_as_its_cases_say() {
    let packs = conformance::packs(&[repository_file("rules")]).unwrap();
    let mut checked = 0;
    for pack in packs {
        let report = conformance::check(&pack);
        assert!(report.holds(), "{report:#?}");
        checked += report.cases.len();
    }
    assert!(checked > 0, "no case under rules/ was checked");
}
