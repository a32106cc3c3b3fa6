//! `/governance/compliance`: the dashboard and the history.

use chrono::{NaiveDate, NaiveTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::fixtures::{is_time, keys};
use crate::api::{MEMBER, Server, text};

const DASHBOARD: &str = "/api/v1/governance/compliance/dashboard";
const HISTORY: &str = "/api/v1/governance/compliance/history";
const NO_SOLUTION: &str = "sol_0190000000007000800000000000dead";

on_both_stores!(
    without_snapshots_there_is_nothing_to_tell,
    dashboard_and_history_follow_the_snapshots_day_by_day,
    history_is_of_the_days_that_are_asked_for,
    parameters_that_are_not_valid_are_malformed,
    solution_that_is_not_there_is_404,
    figures_are_for_those_who_may_read,
);

/// Sets the server's clock to the noon to come, so that no test is overtaken by midnight; answers
/// the day.
fn noon(server: &Server) -> NaiveDate {
    let now = Utc::now();
    let day = now.date_naive() + TimeDelta::days(1);
    let noon = day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(12);
    server.pass(noon - now);
    day
}

/// A policy that an outside model meets, or does not, because nothing is known of it.
async fn policy(server: &Server, name: &str, met: bool) -> String {
    let operator = if met { "not_exists" } else { "exists" };
    let policy = json!({
        "name": name,
        "category": "security",
        "severity": "low",
        "rules": [{"field": "retired", "operator": operator}],
    });
    let id = server.made("/api/v1/governance/policies", policy).await;
    let instance = json!({"policyId": id, "resourceId": "fraud", "resourceType": "model"});
    server.made("/api/v1/governance/instances", instance).await;
    id
}

async fn solution(server: &Server, name: &str, policies: &[&str]) -> String {
    let solution = json!({"name": name, "policies": policies, "models": ["fraud"]});
    server.made("/api/v1/governance/solutions", solution).await
}

async fn snapshot(server: &Server, solution: &str) -> String {
    let body = json!({"solutionId": solution});
    server.made("/api/v1/governance/snapshots", body).await
}

async fn dashboard(server: &Server) -> Value {
    let dashboard = server.get(DASHBOARD).await.expect(200);
    let fields = [
        "overallScore",
        "totalSolutions",
        "compliantSolutions",
        "nonCompliantSolutions",
        "totalSnapshots",
        "frozenSnapshots",
        "recentTrend",
        "generatedAt",
    ];
    assert_eq!(keys(&dashboard), fields);
    assert!(is_time(&dashboard["generatedAt"]));
    dashboard
}

async fn history(server: &Server, query: &str) -> Value {
    let history = server.get(&format!("{HISTORY}{query}")).await.expect(200);
    assert_eq!(keys(&history), ["solutionId", "history", "period"]);
    assert_eq!(keys(&history["period"]), ["start", "end", "days"]);
    for point in history["history"].as_array().expect("points") {
        let fields = ["date", "score", "totalPolicies", "compliantPolicies"];
        assert_eq!(keys(point), fields);
    }
    history
}

/// Points of a history as day, score and policies.
fn points(history: &Value) -> Vec<(String, f64, u64, u64)> {
    let point = |point: &Value| {
        (
            text(&point["date"]),
            point["score"].as_f64().expect("a number"),
            point["totalPolicies"].as_u64().expect("a count"),
            point["compliantPolicies"].as_u64().expect("a count"),
        )
    };
    let points = history["history"].as_array().expect("points");
    points.iter().map(point).collect()
}

fn trend(dashboard: &Value) -> Vec<(String, f64)> {
    let point = |point: &Value| {
        assert_eq!(keys(point), ["date", "score"]);
        (text(&point["date"]), point["score"].as_f64().expect("one"))
    };
    let points = dashboard["recentTrend"].as_array().expect("points");
    points.iter().map(point).collect()
}

fn figures(dashboard: &Value) -> (f64, [u64; 5]) {
    let count = |field: &str| dashboard[field].as_u64().expect("a count");
    let score = dashboard["overallScore"].as_f64().expect("a score");
    let counts = [
        count("totalSolutions"),
        count("compliantSolutions"),
        count("nonCompliantSolutions"),
        count("totalSnapshots"),
        count("frozenSnapshots"),
    ];
    (score, counts)
}

async fn without_snapshots_there_is_nothing_to_tell(server: Server) {
    let empty = dashboard(&server).await;
    assert_eq!(figures(&empty), (0.0, [0; 5]));
    assert_eq!(empty["recentTrend"], json!([]));
    let nothing = history(&server, "").await;
    assert_eq!(nothing["solutionId"], Value::Null);
    assert_eq!(nothing["history"], json!([]));
    // A solution without a snapshot is not compliant.
    let solution = solution(&server, "platform", &[]).await;
    assert_eq!(figures(&dashboard(&server).await), (0.0, [1, 0, 1, 0, 0]));
    let nothing = history(&server, &format!("?solutionId={solution}")).await;
    assert_eq!(nothing["solutionId"], json!(solution));
    assert_eq!(nothing["history"], json!([]));
}

async fn dashboard_and_history_follow_the_snapshots_day_by_day(server: Server) {
    let first = noon(&server);
    let day = |days: i64| (first + TimeDelta::days(days)).to_string();
    let good = policy(&server, "good", true).await;
    let bad = policy(&server, "bad", false).await;
    let platform = solution(&server, "platform", &[&good]).await;
    let other = solution(&server, "other", &[&bad]).await;

    // Compliant; the other has no snapshot yet.
    snapshot(&server, &platform).await;
    let now = dashboard(&server).await;
    assert_eq!(figures(&now), (100.0, [2, 1, 1, 1, 0]));
    assert_eq!(trend(&now), [(day(0), 100.0)]);
    assert_eq!(points(&history(&server, "").await), [(day(0), 100.0, 1, 1)]);

    // Of two snapshots on one day the last counts.
    server.pass(TimeDelta::days(2));
    snapshot(&server, &other).await;
    server.pass(TimeDelta::minutes(1));
    let path = format!("/api/v1/governance/solutions/{platform}");
    let both = json!({"policies": [good, bad]});
    server.put(&path, both).await.expect(200);
    let half = snapshot(&server, &platform).await;
    let freeze = format!("/api/v1/governance/snapshots/{half}/freeze");
    server.post(&freeze, json!({})).await.expect(200);
    let now = dashboard(&server).await;
    assert_eq!(now["frozenSnapshots"], 1);
    assert_eq!(now["compliantSolutions"], 0);
    assert_eq!(now["nonCompliantSolutions"], 2);
    assert_eq!(now["overallScore"].as_f64(), Some(25.0));
    let expected = [(day(0), 100.0), (day(1), 100.0), (day(2), 25.0)];
    assert_eq!(trend(&now), expected);
    let all = history(&server, "").await;
    assert_eq!(all["solutionId"], Value::Null);
    let expected = [(day(0), 100.0, 1, 1), (day(2), 25.0, 3, 1)];
    assert_eq!(points(&all), expected);
    let own = history(&server, &format!("?solutionId={platform}")).await;
    assert_eq!(own["solutionId"], json!(platform));
    let expected = [(day(0), 100.0, 1, 1), (day(2), 50.0, 2, 1)];
    assert_eq!(points(&own), expected);
    let theirs = history(&server, &format!("?solutionId={other}")).await;
    assert_eq!(points(&theirs), [(day(2), 0.0, 1, 0)]);

    // The trend has seven days, whatever happens on them.
    server.pass(TimeDelta::days(6));
    let now = dashboard(&server).await;
    let expected: Vec<_> = (2..=8).map(|days| (day(days), 25.0)).collect();
    assert_eq!(trend(&now), expected);
    // A solution takes its past along.
    let delete = format!("/api/v1/governance/solutions/{other}");
    server.delete(&delete).await.expect(204);
    let all = history(&server, "").await;
    let expected = [(day(0), 100.0, 1, 1), (day(2), 50.0, 2, 1)];
    assert_eq!(points(&all), expected);
    assert_eq!(
        dashboard(&server).await["overallScore"].as_f64(),
        Some(50.0)
    );
}

async fn history_is_of_the_days_that_are_asked_for(server: Server) {
    let first = noon(&server);
    let day = |days: i64| (first + TimeDelta::days(days)).to_string();
    let good = policy(&server, "good", true).await;
    let platform = solution(&server, "platform", &[&good]).await;
    let other = solution(&server, "other", &[]).await;
    snapshot(&server, &platform).await;
    server.pass(TimeDelta::days(31));
    snapshot(&server, &other).await;
    let month = history(&server, "").await;
    let period = json!({"start": day(1), "end": day(31), "days": 30});
    assert_eq!(month["period"], period);
    // What was before the period still counts in it.
    assert_eq!(points(&month), [(day(31), 50.0, 1, 1)]);
    let longer = history(&server, "?days=31").await;
    assert_eq!(longer["period"]["start"], json!(day(0)));
    let expected = [(day(0), 100.0, 1, 1), (day(31), 50.0, 1, 1)];
    assert_eq!(points(&longer), expected);
    let own = history(&server, &format!("?solutionId={platform}&days=30")).await;
    assert_eq!(own["history"], json!([]));
    let own = history(&server, &format!("?solutionId={platform}&days=365")).await;
    assert_eq!(own["period"]["days"], 365);
    assert_eq!(points(&own), [(day(0), 100.0, 1, 1)]);
    let one = history(&server, "?days=1").await;
    let period = json!({"start": day(30), "end": day(31), "days": 1});
    assert_eq!(one["period"], period);
}

async fn parameters_that_are_not_valid_are_malformed(server: Server) {
    for query in [
        "days=0",
        "days=366",
        "days=-1",
        "days=7.5",
        "days=many",
        "days=",
        "limit=10",
        "days=7&days=8",
    ] {
        let answer = server.get(&format!("{HISTORY}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
    }
    server.get(&format!("{DASHBOARD}?days=7")).await.expect(400);
}

async fn solution_that_is_not_there_is_404(server: Server) {
    let path = format!("{HISTORY}?solutionId={NO_SOLUTION}");
    let unknown = server.get(&path).await.expect(404);
    assert_eq!(unknown["error"]["message"], "solution not found");
}

async fn figures_are_for_those_who_may_read(server: Server) {
    let ws = server.workspace().await;
    let (member_id, member) = server.joined(&ws, "m@example.com", MEMBER).await;
    let limited = server.key(&member_id, json!(["governance:write"])).await;
    let (_, stranger) = server.account("s@example.com", json!(["*"])).await;
    for path in [DASHBOARD, HISTORY] {
        for (key, status) in [
            (None, 401),
            (Some(&member), 200),
            (Some(&limited), 403),
            (Some(&stranger), 403),
        ] {
            let key = key.map(String::as_str);
            let answer = server.ask(key, Method::GET, path, None).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
        }
    }
}
