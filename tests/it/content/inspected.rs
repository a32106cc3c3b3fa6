//! Previews and explanations.

use serde_json::json;

use super::{BLOCK, CARDS, LOG, card, forbid, tells};
use crate::rig::{Rig, condition};

#[tokio::test]
async fn a_preview_counts_what_content_policies_withhold() {
    let rig = Rig::start(|_| {}).await;
    let people = format!("id,note\n1,fine\n2,{}\n3,{0}\n4,fine\n", card());
    let model = rig.csv_model("people.csv", &people).await;
    let filter = condition("id", "less_than", json!(3));
    let filtering = rig.client.policy(&model, "webhook", filter).await;
    let blocking = forbid(&rig.client, CARDS, BLOCK, json!({})).await;
    forbid(&rig.client, CARDS, LOG, json!({})).await;
    let body = json!({"model_id": model, "destination_type": "webhook"});
    let preview = rig.client.post("preview", body).await;
    let counts = ["read", "passing", "withheld"].map(|name| preview[name].as_u64().unwrap());
    assert_eq!(counts, [4, 1, 3], "{preview:#}");
    let mut by = preview["withheld_by"].as_array().unwrap().clone();
    by.sort_by_key(|by| by["kind"].to_string());
    let expected = json!([
        {"policy_id": blocking, "kind": "content", "count": 2},
        {"policy_id": filtering, "kind": "destination", "count": 1},
    ]);
    assert_eq!(json!(by), expected);
}

#[tokio::test]
async fn an_explanation_tells_what_was_found_and_not_its_value() {
    let rig = Rig::start(|_| {}).await;
    let people = "id,note\n1,fine\n2,well\n";
    let model = rig.csv_model("people.csv", people).await;
    let blocking = forbid(&rig.client, CARDS, BLOCK, json!({})).await;
    let note = format!("charge {} please", card());
    let records = json!([{"id": 1, "note": "fine"}, {"id": 2, "note": note}]);
    let body = json!({"model_id": model, "destination_type": "webhook", "records": records});
    let explained = rig.client.post("explain", body).await;
    assert_eq!(explained[0], json!({"passes": true, "withheld_by": []}));
    assert_eq!(explained[1]["passes"], false, "{explained:#}");
    let by = &explained[1]["withheld_by"][0];
    assert_eq!(by["policy_id"], json!(blocking));
    assert_eq!(by["kind"], "content");
    assert_eq!(by["conditions"], json!([]));
    let findings = json!([
        {"column": "note", "detector": "payment_card", "shape": "99999999"}
    ]);
    assert_eq!(by["findings"], findings);
    assert!(!tells(&explained.to_string()), "{explained:#}");
}
