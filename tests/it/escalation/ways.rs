//! The ways up that come to mind, each beside what is granted.

use axum::http::Method;
use serde_json::{Value, json};
use syncguard::principal::{ADMIN, MEMBER, OWNER};
use uuid::Uuid;

use super::model::faults;
use super::town::{
    ADMINISTRATOR, DEPUTY, FOUNDER, GOVERNOR, NEWCOMER, OUTSIDER, PLAIN, STEWARD, Town, id_of,
};

/// A call of one account's key, and the status that it must be answered with.
struct Try {
    what: &'static str,
    account: usize,
    scopes: &'static [&'static str],
    method: Method,
    path: String,
    body: Value,
    status: u16,
}

const ALL: &[&str] = &["*"];
const GOVERNANCE: &[&str] = &["governance:read", "governance:write"];
const MEMBERS: &[&str] = &["workspace:read", "workspace:members"];
const REVIEW: &[&str] = &["governance:review"];

impl Town {
    /// The ways up, and beside each what is granted: so that it is the way up that is refused.
    fn tries(&self, own: Uuid, admins: Uuid) -> Vec<Try> {
        let ws = self.path(0);
        let account = |account: usize| self.accounts[account];
        let role = |name: &str| self.roles[name];
        let one = |kind: &str, id: Uuid| format!("{ws}/{kind}/{id}");
        let keys = |account: usize| format!("/api/v1/accounts/{}/keys", self.accounts[account]);
        let key = |scopes: &[&str]| json!({"name": "k", "scopes": scopes});
        let named = |permissions: &[&str]| json!({"name": Uuid::now_v7().to_string(), "permissions": permissions});
        let place = |account: usize, role: Uuid| json!({"account_id": self.accounts[account], "role_id": role});
        let roles = format!("{ws}/roles");
        let groups = format!("{ws}/groups");
        let members = format!("{ws}/members");
        let joins = |group: Uuid| format!("{ws}/groups/{group}/members");
        let (post, put, delete) = (Method::POST, Method::PUT, Method::DELETE);
        let mut tries = Vec::new();
        let mut attempt = |what, account, scopes, method: &Method, path: &str, body, status| {
            tries.push(Try {
                what,
                account,
                scopes,
                method: method.clone(),
                path: path.to_owned(),
                body,
                status,
            });
        };

        let body = named(&["governance.read", "syncs.read"]);
        attempt(
            "a role of what one holds",
            GOVERNOR,
            ALL,
            &post,
            &roles,
            body,
            201,
        );
        let body = named(&["governance.read", "syncs.trigger"]);
        attempt("a role of more", GOVERNOR, ALL, &post, &roles, body, 403);
        let body = named(&["syncs.read"]);
        attempt(
            "a role beyond the key",
            FOUNDER,
            GOVERNANCE,
            &post,
            &roles,
            body,
            403,
        );
        let body = named(&["governance.read"]);
        attempt(
            "a role by a reviewer's key",
            FOUNDER,
            REVIEW,
            &post,
            &roles,
            body,
            403,
        );
        let path = one("roles", role("governor"));
        let body = json!({"permissions": ["governance.read", "governance.write", "syncs.read", "workspace.members"]});
        attempt(
            "more in one's own role",
            GOVERNOR,
            ALL,
            &put,
            &path,
            body,
            403,
        );
        let path = one("roles", role("wide"));
        let body = json!({"name": "wider"});
        attempt(
            "a name for a role one lacks",
            GOVERNOR,
            ALL,
            &put,
            &path,
            body,
            200,
        );
        let body = json!({"permissions": ["governance.read", "sources.delete", "sources.write"]});
        attempt(
            "more in a role one lacks",
            GOVERNOR,
            ALL,
            &put,
            &path,
            body,
            403,
        );
        let body = json!({"permissions": ["governance.read", "sources.delete", "syncs.read"]});
        attempt(
            "what one holds in it",
            GOVERNOR,
            ALL,
            &put,
            &path,
            body,
            200,
        );
        let body = json!({"permissions": []});
        attempt(
            "a system role",
            FOUNDER,
            ALL,
            &put,
            &one("roles", MEMBER),
            body,
            403,
        );

        let body = json!({"name": "g1", "role_id": role("steward")});
        attempt(
            "a group with a role one lacks",
            GOVERNOR,
            ALL,
            &post,
            &groups,
            body,
            403,
        );
        let path = one("groups", own);
        let body = json!({"role_id": role("steward")});
        attempt(
            "such a role for one's group",
            GOVERNOR,
            ALL,
            &put,
            &path,
            body,
            403,
        );
        let body = json!({"role_id": role("governor")});
        attempt(
            "one's role for one's group",
            GOVERNOR,
            ALL,
            &put,
            &path,
            body,
            200,
        );
        let body = json!({"role_id": OWNER});
        attempt(
            "the owner role for it",
            GOVERNOR,
            ALL,
            &put,
            &path,
            body,
            403,
        );
        let path = joins(admins);
        for (what, caller) in [
            ("oneself into the admins' group", GOVERNOR),
            ("an admin into it by themself", ADMINISTRATOR),
            ("an owner into it by themself", FOUNDER),
        ] {
            let body = json!({"account_id": account(caller)});
            attempt(what, caller, ALL, &post, &path, body, 403);
        }
        let body = json!({"account_id": account(PLAIN)});
        attempt(
            "another into it",
            GOVERNOR,
            ALL,
            &post,
            &path,
            body.clone(),
            403,
        );
        attempt(
            "another by a narrow key",
            FOUNDER,
            GOVERNANCE,
            &post,
            &path,
            body.clone(),
            403,
        );
        attempt(
            "another into one's own",
            GOVERNOR,
            ALL,
            &post,
            &joins(own),
            body.clone(),
            201,
        );
        attempt(
            "another by an admin",
            ADMINISTRATOR,
            ALL,
            &post,
            &path,
            body,
            201,
        );

        for (what, caller, to, status) in [
            ("an owner by an admin", ADMINISTRATOR, OWNER, 403),
            ("an admin by a steward", STEWARD, ADMIN, 403),
            ("a deputy by a steward", STEWARD, role("deputy"), 403),
            ("an admin by a deputy", DEPUTY, ADMIN, 403),
            // By now the admins' group gives the plain member every permission.
            ("an admin by a group's admin", PLAIN, ADMIN, 403),
            ("an owner by a group's admin", PLAIN, OWNER, 403),
            ("a member by a steward", STEWARD, MEMBER, 403),
            ("a steward by a steward", STEWARD, role("steward"), 201),
        ] {
            let body = place(NEWCOMER, to);
            attempt(what, caller, ALL, &post, &members, body, status);
        }
        let body = json!({"role_id": OWNER});
        let path = one("members", account(PLAIN));
        attempt(
            "an owner by a narrow key",
            FOUNDER,
            MEMBERS,
            &put,
            &path,
            body,
            403,
        );
        for (what, caller, target, to, status) in [
            ("oneself as owner", ADMINISTRATOR, ADMINISTRATOR, OWNER, 403),
            ("oneself as deputy", STEWARD, STEWARD, role("deputy"), 403),
            ("an owner as member", ADMINISTRATOR, FOUNDER, MEMBER, 403),
            (
                "an admin as steward",
                DEPUTY,
                ADMINISTRATOR,
                role("steward"),
                403,
            ),
            ("the last owner as admin", FOUNDER, FOUNDER, ADMIN, 409),
        ] {
            let path = one("members", account(target));
            attempt(
                what,
                caller,
                ALL,
                &put,
                &path,
                json!({"role_id": to}),
                status,
            );
        }
        let path = one("members", account(FOUNDER));
        attempt(
            "the last owner's leave",
            FOUNDER,
            ALL,
            &delete,
            &path,
            json!({}),
            409,
        );
        let path = one("members", account(ADMINISTRATOR));
        attempt(
            "an admin's end by a deputy",
            DEPUTY,
            ALL,
            &delete,
            &path,
            json!({}),
            403,
        );

        for (what, caller, with, target, scopes, status) in [
            ("one's key", PLAIN, ALL, PLAIN, ALL, 201),
            (
                "an owner's key by a member",
                PLAIN,
                ALL,
                FOUNDER,
                REVIEW,
                403,
            ),
            (
                "a member's by an admin",
                ADMINISTRATOR,
                ALL,
                PLAIN,
                REVIEW,
                403,
            ),
            (
                "by the owner of one of two",
                GOVERNOR,
                ALL,
                PLAIN,
                REVIEW,
                403,
            ),
            ("by the owner of both", FOUNDER, ALL, PLAIN, REVIEW, 201),
            (
                "a stranger's by an admin",
                ADMINISTRATOR,
                ALL,
                OUTSIDER,
                REVIEW,
                403,
            ),
            (
                "a stranger's by an owner",
                GOVERNOR,
                ALL,
                OUTSIDER,
                REVIEW,
                201,
            ),
            ("all scopes by some", FOUNDER, MEMBERS, FOUNDER, ALL, 403),
            ("a scope beyond", FOUNDER, MEMBERS, FOUNDER, GOVERNANCE, 403),
            (
                "review by a key without",
                FOUNDER,
                MEMBERS,
                FOUNDER,
                REVIEW,
                403,
            ),
            ("the same scopes", FOUNDER, MEMBERS, FOUNDER, MEMBERS, 201),
            (
                "keys by a governance key",
                FOUNDER,
                GOVERNANCE,
                FOUNDER,
                GOVERNANCE,
                403,
            ),
            (
                "keys by a reviewer's key",
                FOUNDER,
                REVIEW,
                FOUNDER,
                REVIEW,
                403,
            ),
        ] {
            attempt(
                what,
                caller,
                with,
                &post,
                &keys(target),
                key(scopes),
                status,
            );
        }
        tries
    }
}

#[tokio::test]
async fn every_known_way_up_is_refused() {
    let mut town = Town::found().await;
    let groups = format!("{}/groups", town.path(0));
    let own = town.made(&groups, json!({"name": "own"})).await;
    let body = json!({"name": "admins", "role_id": ADMIN});
    let admins = town.made(&groups, body).await;
    let body = json!({"account_id": town.accounts[GOVERNOR]});
    let path = format!("{groups}/{own}/members");
    let (status, answer) = town.as_founder(Method::POST, &path, Some(body)).await;
    assert_eq!(status, 201, "{answer:#}");
    let mut state = town.snapshot().await;
    for Try {
        what,
        account,
        scopes,
        method,
        path,
        body,
        status,
    } in town.tries(own, admins)
    {
        let text = town.key(&state, account, scopes);
        let id = town
            .keys
            .iter()
            .find(|key| key.text == text)
            .map(|key| key.id);
        let (answered, answer) = town.ask(&text, method, &path, Some(body)).await;
        assert_eq!(answered, status, "{what}: {answer:#}");
        let after = town.snapshot().await;
        match status {
            200 | 201 => {
                let wrong = faults(&state, &after, id.expect("its id"));
                assert!(wrong.is_empty(), "{what}: {wrong:?}");
            }
            _ => assert_eq!(after, state, "{what}"),
        }
        if answer["key"].is_string() {
            let account = after.keys[&id_of(&answer)].account_id;
            town.learn(&answer, account, false);
        }
        state = after;
    }
}

#[tokio::test]
async fn a_key_opens_nothing_by_the_scope_review_alone() {
    let town = Town::found().await;
    let state = town.snapshot().await;
    for (account, scopes, expected) in [
        (FOUNDER, ALL, 40),
        (FOUNDER, REVIEW, 0),
        (FOUNDER, GOVERNANCE, 2),
        (PLAIN, MEMBERS, 1),
    ] {
        let text = town.key(&state, account, scopes);
        let path = format!("{}/permissions/me", town.path(0));
        let (status, answer) = town.ask(&text, Method::GET, &path, None).await;
        assert_eq!(status, 200, "{answer:#}");
        assert_eq!(
            answer.as_array().map(Vec::len),
            Some(expected),
            "{scopes:?}"
        );
    }
}
