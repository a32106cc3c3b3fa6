//! `/governance/attestations`.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::fixtures::{column, is_time, keys};
use crate::api::{MEMBER, NOBODY, Server, text};

const LIST: &str = "/api/v1/governance/attestations";
const SUMMARY: &str = "/api/v1/governance/attestations/summary";
const FIELDS: [&str; 13] = [
    "id",
    "solutionId",
    "snapshotId",
    "type",
    "status",
    "attestedBy",
    "attestedAt",
    "evidence",
    "expiration",
    "revokedAt",
    "revokedBy",
    "createdAt",
    "updatedAt",
];
/// Ids that nothing bears: one well formed, one of the seed's form, one of another kind.
const NO_ATTESTATIONS: [&str; 3] = ["att_0190000000007000800000000000dead", "att_vwx234", NOBODY];

on_both_stores!(
    attestation_is_as_the_seed_has_it,
    attestation_needs_but_a_snapshot_and_a_type,
    attestation_may_be_of_a_frozen_snapshot,
    attestation_expires_as_time_passes,
    attestation_ends_at_the_beginning_of_a_date,
    attestation_of_a_time_that_is_over_is_put_on_record,
    attestation_is_revoked_once,
    attestation_that_has_expired_can_still_be_revoked,
    of_two_revocations_at_once_one_wins,
    list_has_filters_sorts_and_pages,
    parameters_that_are_not_valid_are_malformed,
    body_tells_of_every_fault_at_once,
    summary_counts_by_status_and_type,
    what_is_not_there_is_404,
    attestations_are_for_those_who_govern,
    every_change_is_told,
);

/// A solution and a snapshot of it.
async fn snapshot(server: &Server, name: &str) -> (String, String) {
    let solution = json!({"name": name});
    let solution = server.made("/api/v1/governance/solutions", solution).await;
    let body = json!({"solutionId": solution});
    let snapshot = server.made("/api/v1/governance/snapshots", body).await;
    (solution, snapshot)
}

async fn attest(server: &Server, body: Value) -> Value {
    server.post(LIST, body).await.expect(201)
}

fn revoke_path(attestation: &Value) -> String {
    format!("{LIST}/{}/revoke", text(&attestation["id"]))
}

/// The one attestation of the list.
async fn only(server: &Server) -> Value {
    let list = server.get(LIST).await.expect(200);
    assert_eq!(list["pagination"]["total"], 1, "{list:#}");
    list["data"][0].clone()
}

fn in_days(days: i64) -> String {
    let time: DateTime<Utc> = Utc::now() + TimeDelta::days(days);
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

async fn attestation_is_as_the_seed_has_it(server: Server) {
    let (solution, snapshot) = snapshot(&server, "platform").await;
    let evidence = json!({
        "documentUrl": "https://example.com/evidence/gdpr-assessment.pdf",
        "notes": "GDPR Data Protection Impact Assessment completed",
    });
    let end = in_days(365);
    let body = json!({
        "snapshotId": snapshot,
        "type": "gdpr",
        "evidence": evidence,
        "expiration": end,
    });
    let made = attest(&server, body).await;
    assert_eq!(keys(&made), FIELDS);
    let id = text(&made["id"]);
    assert!(id.len() == 36 && id.starts_with("att_"), "{id}");
    assert_eq!(made["solutionId"], json!(solution));
    assert_eq!(made["snapshotId"], json!(snapshot));
    assert_eq!(made["type"], "gdpr");
    assert_eq!(made["status"], "active");
    assert_eq!(made["attestedBy"], json!(server.owner_id().await));
    assert_eq!(made["evidence"], evidence);
    assert_eq!(made["expiration"], json!(end));
    assert_eq!(made["revokedAt"], Value::Null);
    assert_eq!(made["revokedBy"], Value::Null);
    for field in ["attestedAt", "createdAt", "updatedAt"] {
        assert!(is_time(&made[field]), "{field}: {}", made[field]);
    }
    let list = server.get(LIST).await.expect(200);
    assert_eq!(keys(&list), ["data", "pagination"]);
    let pagination = json!({"total": 1, "limit": 20, "offset": 0, "hasMore": false});
    assert_eq!(list["pagination"], pagination);
    assert_eq!(list["data"], json!([made]));
}

async fn attestation_needs_but_a_snapshot_and_a_type(server: Server) {
    let (_, snapshot) = snapshot(&server, "platform").await;
    for kind in ["soc2", "hipaa", "gdpr", "iso27001", "custom"] {
        let body = json!({"snapshotId": snapshot, "type": kind});
        let made = attest(&server, body).await;
        assert_eq!(keys(&made), FIELDS);
        assert_eq!(made["type"], kind);
        assert_eq!(made["evidence"], json!({}));
        assert_eq!(made["expiration"], Value::Null);
    }
    let body = json!({
        "snapshotId": snapshot,
        "type": "custom",
        "evidence": {"notes": null, "documentUrl": null},
        "expiration": null,
    });
    let made = attest(&server, body).await;
    assert_eq!(made["evidence"], json!({}));
    // It never ends.
    server.pass(TimeDelta::days(20_000));
    let list = server.get(LIST).await.expect(200);
    assert!(
        column(&list["data"], "status")
            .into_iter()
            .all(|it| it == "active")
    );
}

async fn attestation_may_be_of_a_frozen_snapshot(server: Server) {
    let (_, snapshot) = snapshot(&server, "platform").await;
    let freeze = format!("/api/v1/governance/snapshots/{snapshot}/freeze");
    server.post(&freeze, json!({})).await.expect(200);
    let body = json!({"snapshotId": snapshot, "type": "soc2"});
    let made = attest(&server, body).await;
    server
        .post(&revoke_path(&made), json!({}))
        .await
        .expect(200);
}

async fn attestation_expires_as_time_passes(server: Server) {
    let (_, snapshot) = snapshot(&server, "platform").await;
    let body = json!({"snapshotId": snapshot, "type": "soc2", "expiration": in_days(10)});
    let made = attest(&server, body).await;
    assert_eq!(made["status"], "active");
    server.pass(TimeDelta::days(9));
    assert_eq!(only(&server).await, made);
    server.pass(TimeDelta::days(1) + TimeDelta::seconds(1));
    let expired = only(&server).await;
    assert_eq!(expired["status"], "expired");
    // Nobody has changed it, or taken it back.
    for field in ["updatedAt", "revokedAt", "revokedBy", "expiration"] {
        assert_eq!(expired[field], made[field], "{field}");
    }
    let revoked = server.get(&format!("{LIST}?revoked=true")).await;
    assert_eq!(revoked.expect(200)["pagination"]["total"], 0);
}

async fn attestation_ends_at_the_beginning_of_a_date(server: Server) {
    let (_, snapshot) = snapshot(&server, "platform").await;
    let date = (Utc::now() + TimeDelta::days(40)).date_naive();
    let body = json!({"snapshotId": snapshot, "type": "soc2", "expiration": date.to_string()});
    let made = attest(&server, body).await;
    assert_eq!(made["expiration"], json!(format!("{date}T00:00:00Z")));
    assert_eq!(only(&server).await, made);
}

async fn attestation_of_a_time_that_is_over_is_put_on_record(server: Server) {
    let (_, snapshot) = snapshot(&server, "platform").await;
    for end in ["2026-03-21T10:00:00Z", "2020-01-31"] {
        let body = json!({"snapshotId": snapshot, "type": "gdpr", "expiration": end});
        let made = attest(&server, body).await;
        assert_eq!(made["status"], "expired", "{end}");
    }
}

async fn attestation_is_revoked_once(server: Server) {
    let (_, snapshot) = snapshot(&server, "platform").await;
    let body = json!({"snapshotId": snapshot, "type": "soc2", "expiration": in_days(10)});
    let made = attest(&server, body.clone()).await;
    server.pass(TimeDelta::minutes(1));
    let reason = "Compliance gap identified during internal audit";
    let path = revoke_path(&made);
    let revoked = server.post(&path, json!({"reason": reason})).await;
    let revoked = revoked.expect(200);
    let fields = ["id", "status", "revokedAt", "revokedBy", "updatedAt"];
    assert_eq!(keys(&revoked), fields);
    assert_eq!(revoked["id"], made["id"]);
    assert_eq!(revoked["status"], "revoked");
    assert_eq!(revoked["revokedBy"], json!(server.owner_id().await));
    assert!(is_time(&revoked["revokedAt"]));
    assert_eq!(revoked["updatedAt"], revoked["revokedAt"]);

    let shown = only(&server).await;
    let mut all: Vec<&str> = FIELDS.to_vec();
    all.insert(11, "revocationReason");
    assert_eq!(keys(&shown), all);
    assert_eq!(shown["revocationReason"], reason);
    for field in fields {
        assert_eq!(shown[field], revoked[field], "{field}");
    }
    let again = server.post(&path, json!({})).await.expect(409);
    assert_eq!(again["error"]["code"], "attestation_not_active");
    assert_eq!(only(&server).await, shown);
    // What was taken back does not become something else by its end.
    server.pass(TimeDelta::days(11));
    assert_eq!(only(&server).await, shown);

    // The body may be left out.
    let body = json!({"snapshotId": snapshot, "type": "soc2"});
    let other = attest(&server, body).await;
    let owner = server.owner_id().await;
    let key = server.key(&owner, json!(["governance:write"])).await;
    let path = revoke_path(&other);
    let revoked = server.ask(Some(&key), Method::POST, &path, None).await;
    assert_eq!(revoked.expect(200)["status"], "revoked");
    let newest = server.get(LIST).await.expect(200);
    assert_eq!(keys(&newest["data"][0]), FIELDS);
}

async fn attestation_that_has_expired_can_still_be_revoked(server: Server) {
    let (_, snapshot) = snapshot(&server, "platform").await;
    let body = json!({"snapshotId": snapshot, "type": "soc2", "expiration": in_days(1)});
    let made = attest(&server, body).await;
    server.pass(TimeDelta::days(2));
    assert_eq!(only(&server).await["status"], "expired");
    let revoked = server.post(&revoke_path(&made), json!({})).await;
    assert_eq!(revoked.expect(200)["status"], "revoked");
    let again = server.post(&revoke_path(&made), json!({})).await;
    assert_eq!(again.expect(409)["error"]["code"], "attestation_not_active");
}

async fn of_two_revocations_at_once_one_wins(server: Server) {
    let (_, snapshot) = snapshot(&server, "platform").await;
    for _ in 0..5 {
        let body = json!({"snapshotId": snapshot, "type": "soc2"});
        let path = revoke_path(&attest(&server, body).await);
        let (one, other) = tokio::join!(
            server.post(&path, json!({"reason": "one"})),
            server.post(&path, json!({"reason": "other"})),
        );
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
}

async fn list_has_filters_sorts_and_pages(server: Server) {
    let (first, one) = snapshot(&server, "first").await;
    let (second, two) = snapshot(&server, "second").await;
    let mut ids = Vec::new();
    for (snapshot, kind, end) in [
        (&one, "soc2", Some(30)),
        (&one, "gdpr", None),
        (&two, "gdpr", Some(10)),
        (&two, "hipaa", Some(20)),
    ] {
        let end = end.map(in_days);
        let body = json!({"snapshotId": snapshot, "type": kind, "expiration": end});
        ids.push(text(&attest(&server, body).await["id"]));
        server.pass(TimeDelta::seconds(1));
    }
    let path = format!("{LIST}/{}/revoke", ids[0]);
    server.post(&path, json!({})).await.expect(200);
    for (query, expected) in [
        ("", vec![3, 2, 1, 0]),
        ("?sort=createdAt:asc", vec![0, 1, 2, 3]),
        ("?sort=attestedAt:desc", vec![3, 2, 1, 0]),
        ("?sort=updatedAt:desc", vec![0, 3, 2, 1]),
        // What does not end comes last.
        ("?sort=expiration:asc", vec![2, 3, 0, 1]),
        ("?sort=expiration:desc", vec![0, 3, 2, 1]),
        ("?sort=type:asc", vec![1, 2, 3, 0]),
        (format!("?solutionId={first}").as_str(), vec![1, 0]),
        (format!("?snapshotId={two}").as_str(), vec![3, 2]),
        (format!("?solutionId={second}&type=gdpr").as_str(), vec![2]),
        (
            format!("?solutionId={first}&snapshotId={two}").as_str(),
            vec![],
        ),
        ("?type=gdpr", vec![2, 1]),
        ("?type=custom", vec![]),
        ("?revoked=true", vec![0]),
        ("?revoked=false", vec![3, 2, 1]),
        ("?revoked=false&type=gdpr", vec![2, 1]),
        ("?solutionId=sol_0190000000007000800000000000dead", vec![]),
    ] {
        let list = server.get(&format!("{LIST}{query}")).await.expect(200);
        let expected: Vec<Value> = expected.into_iter().map(|i: usize| json!(ids[i])).collect();
        let found: Vec<Value> = column(&list["data"], "id").into_iter().cloned().collect();
        assert_eq!(found, expected, "{query}");
        assert_eq!(list["pagination"]["total"], expected.len(), "{query}");
    }
    let page = server.get(&format!("{LIST}?limit=2&offset=1")).await;
    let page = page.expect(200);
    assert_eq!(
        column(&page["data"], "id"),
        [&json!(ids[2]), &json!(ids[1])]
    );
    let pagination = json!({"total": 4, "limit": 2, "offset": 1, "hasMore": true});
    assert_eq!(page["pagination"], pagination);
}

async fn parameters_that_are_not_valid_are_malformed(server: Server) {
    for query in [
        "type=sox",
        "revoked=yes",
        "limit=0",
        "limit=101",
        "offset=-1",
        "sort=status:asc",
        "sort=type:up",
        "status=active",
        "type=soc2&type=soc2",
    ] {
        let answer = server.get(&format!("{LIST}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
    }
    server.get(&format!("{SUMMARY}?x=1")).await.expect(400);
}

async fn body_tells_of_every_fault_at_once(server: Server) {
    let (_, snapshot) = snapshot(&server, "platform").await;
    let valid = |field: &str, value: Value| {
        let mut body = json!({"snapshotId": snapshot, "type": "soc2"});
        body[field] = value;
        body
    };
    let url = |url: &str| valid("evidence", json!({"documentUrl": url}));
    let bodies: [(Value, &[&str]); 16] = [
        (json!({}), &["$.snapshotId", "$.type"]),
        (
            json!({
                "snapshotId": ["snap_stu901"],
                "type": "sox",
                "evidence": {"documentUrl": "ftp://example.com", "notes": 1, "other": null},
                "expiration": "soon",
                "status": "active",
            }),
            &[
                "$.evidence.documentUrl",
                "$.evidence.notes",
                "$.evidence.other",
                "$.expiration",
                "$.snapshotId",
                "$.status",
                "$.type",
            ],
        ),
        (valid("snapshotId", json!(1)), &["$.snapshotId"]),
        (valid("snapshotId", Value::Null), &["$.snapshotId"]),
        (valid("type", json!({"soc2": null})), &["$.type"]),
        (valid("evidence", json!("report")), &["$.evidence"]),
        (valid("evidence", json!([])), &["$.evidence"]),
        (
            url("https://user:secret@example.com/"),
            &["$.evidence.documentUrl"],
        ),
        (url("javascript:alert(1)"), &["$.evidence.documentUrl"]),
        (url("report.pdf"), &["$.evidence.documentUrl"]),
        (
            valid("evidence", json!({"notes": "a\u{0}b"})),
            &["$.evidence.notes"],
        ),
        (valid("expiration", json!("2031-02-30")), &["$.expiration"]),
        (
            valid("expiration", json!("2031-01-31T09:30:00")),
            &["$.expiration"],
        ),
        (
            valid("expiration", json!("9999-12-31T23:59:59-01:00")),
            &["$.expiration"],
        ),
        (valid("expiration", json!(1_800_000_000)), &["$.expiration"]),
        (json!([]), &["$"]),
    ];
    server.refuses(Method::POST, LIST, LIST, bodies).await;
    let made = attest(&server, json!({"snapshotId": snapshot, "type": "soc2"})).await;
    let path = revoke_path(&made);
    let bodies: [(Value, &[&str]); 3] = [
        (json!({"reason": 1}), &["$.reason"]),
        (
            json!({"why": "x", "reason": "\u{0}"}),
            &["$.reason", "$.why"],
        ),
        (json!("x"), &["$"]),
    ];
    server.refuses(Method::POST, &path, LIST, bodies).await;
    let owner = server.owner_id().await;
    let key = server.key(&owner, json!(["governance:write"])).await;
    for path in [LIST, &path] {
        let answer = server.ask(Some(&key), Method::POST, path, Some("{")).await;
        answer.expect(400);
    }
}

async fn summary_counts_by_status_and_type(server: Server) {
    let empty = server.get(SUMMARY).await.expect(200);
    let fields = [
        "total",
        "active",
        "revoked",
        "expired",
        "byType",
        "expiringWithin30Days",
        "generatedAt",
    ];
    let types = ["soc2", "hipaa", "gdpr", "iso27001", "custom"];
    assert_eq!(keys(&empty), fields);
    assert_eq!(keys(&empty["byType"]), types);
    assert!(is_time(&empty["generatedAt"]));
    let figures = async |server: &Server| {
        let mut summary = server.get(SUMMARY).await.expect(200);
        let summary = summary.as_object_mut().expect("an object");
        summary.shift_remove("generatedAt");
        Value::Object(summary.clone())
    };
    let expected = |by_status: [u64; 4], expiring: u64, by_type: [u64; 5]| {
        let by_type: serde_json::Map<_, _> = types
            .iter()
            .zip(by_type)
            .map(|(kind, count)| ((*kind).to_owned(), json!(count)))
            .collect();
        let [total, active, revoked, expired] = by_status;
        json!({
            "total": total, "active": active, "revoked": revoked, "expired": expired,
            "byType": by_type, "expiringWithin30Days": expiring,
        })
    };
    assert_eq!(figures(&server).await, expected([0, 0, 0, 0], 0, [0; 5]));
    let (_, snapshot) = snapshot(&server, "platform").await;
    let mut made = Vec::new();
    for (kind, end) in [
        ("soc2", Some(10)),
        ("soc2", Some(60)),
        ("gdpr", None),
        ("custom", Some(20)),
    ] {
        let end = end.map(in_days);
        let body = json!({"snapshotId": snapshot, "type": kind, "expiration": end});
        made.push(attest(&server, body).await);
    }
    let by_type = [2, 0, 1, 0, 1];
    assert_eq!(figures(&server).await, expected([4, 4, 0, 0], 2, by_type));
    let revoke = revoke_path(&made[3]);
    server.post(&revoke, json!({})).await.expect(200);
    assert_eq!(figures(&server).await, expected([4, 3, 1, 0], 1, by_type));
    server.pass(TimeDelta::days(35));
    assert_eq!(figures(&server).await, expected([4, 2, 1, 1], 1, by_type));
    server.pass(TimeDelta::days(35));
    assert_eq!(figures(&server).await, expected([4, 1, 1, 2], 0, by_type));
}

async fn what_is_not_there_is_404(server: Server) {
    let body = json!({"snapshotId": "snap_0190000000007000800000000000dead", "type": "soc2"});
    let unknown = server.post(LIST, body).await.expect(404);
    assert!(text(&unknown["error"]["message"]).contains("snapshot"));
    for id in NO_ATTESTATIONS {
        let path = format!("{LIST}/{id}/revoke");
        let unknown = server.post(&path, json!({})).await.expect(404);
        assert_eq!(unknown["error"]["code"], "not_found");
    }
}

async fn attestations_are_for_those_who_govern(server: Server) {
    let ws = server.workspace().await;
    let (_, snapshot) = snapshot(&server, "platform").await;
    let made = attest(&server, json!({"snapshotId": snapshot, "type": "soc2"})).await;
    let revoke = revoke_path(&made);
    let body = json!({"snapshotId": snapshot, "type": "gdpr"});
    let (member_id, member) = server.joined(&ws, "m@example.com", MEMBER).await;
    let limited = server.key(&member_id, json!(["sources:read"])).await;
    let owner = server.owner_id().await;
    let reader = server.key(&owner, json!(["governance:read"])).await;
    let (_, stranger) = server.account("s@example.com", json!(["*"])).await;
    for path in [LIST, SUMMARY] {
        let get = async |key: Option<&str>| {
            let answer = server.ask(key, Method::GET, path, None).await;
            answer.status
        };
        assert_eq!(get(None).await, 401, "{path}");
        assert_eq!(get(Some(&member)).await, 200, "{path}");
        assert_eq!(get(Some(&reader)).await, 200, "{path}");
        assert_eq!(get(Some(&limited)).await, 403, "{path}");
        assert_eq!(get(Some(&stranger)).await, 403, "{path}");
    }
    for (path, body) in [(LIST, body), (revoke.as_str(), json!({}))] {
        let body = body.to_string();
        let none = server.ask(None, Method::POST, path, Some(&body)).await;
        none.expect(401);
        for key in [&member, &reader, &limited, &stranger] {
            let answer = server.ask(Some(key), Method::POST, path, Some(&body)).await;
            answer.expect(403);
        }
    }
    assert_eq!(only(&server).await, made);
}

async fn every_change_is_told(server: Server) {
    let (_, snapshot) = snapshot(&server, "platform").await;
    let made = attest(&server, json!({"snapshotId": snapshot, "type": "soc2"})).await;
    let body = json!({"reason": "a gap"});
    server.post(&revoke_path(&made), body).await.expect(200);
    let lines = server.get("/api/v1/audit?object_kind=attestation").await;
    let lines = lines.expect(200);
    let lines: Vec<&Value> = column(&lines, "line");
    let actions: Vec<&Value> = lines.iter().map(|line| &line["action"]).collect();
    assert_eq!(actions, ["attestation.create", "attestation.revoke"]);
    assert_eq!(lines[0]["before"], Value::Null);
    assert_eq!(lines[0]["after"]["id"], made["id"]);
    assert_eq!(lines[0]["after"], lines[1]["before"]);
    assert_eq!(lines[1]["after"]["revocationReason"], "a gap");
    assert!(is_time(&lines[1]["after"]["revokedAt"]));
}
