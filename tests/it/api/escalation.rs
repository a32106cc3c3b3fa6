//! Nobody passes on what they, or the key in use, do not hold.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixtures::{column, message};
use super::{ADMIN, MEMBER, OWNER, Server};

on_both_stores!(
    role_is_made_of_what_its_author_holds,
    group_gets_a_role_from_who_holds_it,
    members_are_added_to_a_group_by_who_holds_its_role,
    nobody_adds_themself_to_a_group,
    limited_key_passes_on_no_more_than_its_scopes,
    custom_role_is_given_by_who_holds_it,
    owners_and_admins_are_made_and_unmade_by_their_like,
    role_of_a_group_makes_nobody_an_owner,
    last_owner_stays,
);

/// Makes a workspace with somebody in it who may govern and read sources, and no more.
async fn governor(server: &Server) -> (String, String, String) {
    let ws = server.workspace().await;
    let permissions = ["sources.read", "governance.read", "governance.write"];
    let role = server.role(&ws, "governor", &permissions).await;
    let (account_id, key) = server.joined(&ws, "g@example.com", &role).await;
    (ws, account_id, key)
}

async fn role_is_made_of_what_its_author_holds(server: Server) {
    let (ws, account_id, key) = governor(&server).await;
    let roles = format!("{ws}/roles");
    for (permissions, status) in [
        (json!([]), 201),
        (json!(["sources.read"]), 201),
        (json!(["governance.write", "sources.read"]), 201),
        (json!(["sources.write"]), 403),
        (json!(["sources.read", "workspace.members"]), 403),
    ] {
        let role = json!({"name": permissions.to_string(), "permissions": permissions});
        let answer = server.by(&key, Method::POST, &roles, role).await;
        let body = answer.expect(status);
        if status == 403 {
            let lacking = permissions.as_array().and_then(|all| all.last());
            let lacking = lacking.and_then(Value::as_str).expect("a key");
            assert!(message(&body).ends_with(&format!(": {lacking}")), "{body}");
        }
    }
    // What a role has already stays when somebody else changes the rest, and does not come back.
    let strong = server
        .role(&ws, "strong", &["sources.write", "models.read"])
        .await;
    let one = format!("{roles}/{strong}");
    let put = async |body: Value| server.by(&key, Method::PUT, &one, body).await;
    put(json!({"description": "x"})).await.expect(200);
    let more = json!({"permissions": ["sources.write", "models.read", "models.write"]});
    put(more).await.expect(403);
    let less = json!({"permissions": ["sources.write", "sources.read"]});
    let now = put(less).await.expect(200);
    assert_eq!(now["permissions"], json!(["sources.read", "sources.write"]));
    let again = json!({"permissions": ["sources.write", "models.read"]});
    put(again).await.expect(403);
    assert_eq!(server.get(&one).await.expect(200), now);
    // Not even into one's own role.
    let roles_now = server.get(&roles).await.expect(200);
    let own = column(&roles_now, "name")
        .iter()
        .position(|name| **name == "governor")
        .expect("one's own");
    let own = format!("{roles}/{}", super::text(&roles_now[own]["id"]));
    let all = json!({"permissions": ["governance.read", "governance.write", "syncs.trigger"]});
    let answer = server.by(&key, Method::PUT, &own, all).await;
    answer.expect(403);
    // By a group one holds more, and passes on more, as long as one is in it.
    let extra = server.role(&ws, "extra", &["syncs.trigger"]).await;
    let group = server.group(&ws, "extra", Some(&extra)).await;
    server.enroll(&ws, &group, &account_id).await;
    let role = json!({"name": "trigger", "permissions": ["syncs.trigger"]});
    let answer = server.by(&key, Method::POST, &roles, role).await;
    answer.expect(201);
    server
        .delete(&format!("{ws}/groups/{group}/members/{account_id}"))
        .await
        .expect(204);
    let role = json!({"name": "trigger 2", "permissions": ["syncs.trigger"]});
    let answer = server.by(&key, Method::POST, &roles, role).await;
    answer.expect(403);
}

async fn group_gets_a_role_from_who_holds_it(server: Server) {
    let (ws, _, key) = governor(&server).await;
    let groups = format!("{ws}/groups");
    let weak = server.role(&ws, "weak", &["sources.read"]).await;
    let strong = server.role(&ws, "strong", &["sources.write"]).await;
    let plain = server.group(&ws, "plain", None).await;
    let held = server.group(&ws, "held", Some(&strong)).await;
    let (plain, held) = (format!("{groups}/{plain}"), format!("{groups}/{held}"));
    for (role, status) in [
        (weak.as_str(), true),
        (strong.as_str(), false),
        (MEMBER, false),
        (ADMIN, false),
        (OWNER, false),
    ] {
        let group = json!({"name": role, "role_id": role});
        let answer = server.by(&key, Method::POST, &groups, group).await;
        answer.expect(if status { 201 } else { 403 });
        let change = json!({"role_id": role});
        let answer = server.by(&key, Method::PUT, &plain, change).await;
        answer.expect(if status { 200 } else { 403 });
    }
    assert_eq!(server.get(&plain).await.expect(200)["role_id"], json!(weak));
    // A group may be renamed whatever its role, and lose it, but not get it back.
    for (change, status) in [
        (json!({"name": "renamed"}), 200),
        (json!({"role_id": strong, "name": "again"}), 200),
        (json!({"role_id": null}), 200),
        (json!({"role_id": strong}), 403),
    ] {
        let answer = server.by(&key, Method::PUT, &held, change.clone()).await;
        assert_eq!(answer.status, status, "{change}");
    }
}

async fn members_are_added_to_a_group_by_who_holds_its_role(server: Server) {
    let (ws, _, key) = governor(&server).await;
    let (newcomer, theirs) = server.joined(&ws, "n@example.com", MEMBER).await;
    let weak = server.role(&ws, "weak", &["sources.read"]).await;
    for (name, role, status) in [
        ("plain", None, 201),
        ("weak", Some(weak.as_str()), 201),
        ("member", Some(MEMBER), 403),
        ("owner", Some(OWNER), 403),
    ] {
        let group = server.group(&ws, name, role).await;
        let path = format!("{ws}/groups/{group}/members");
        let member = json!({"account_id": newcomer});
        let answer = server.by(&key, Method::POST, &path, member).await;
        assert_eq!(answer.status, status, "{name}: {:#}", answer.body);
    }
    let held = server.permissions(&ws, &theirs).await;
    assert!(!held.contains(&"governance.write".into()));
    // The role that decides is the one the group has when the member comes.
    let strong = server.role(&ws, "strong", &["sources.write"]).await;
    let group = server.group(&ws, "changing", Some(&weak)).await;
    let one = format!("{ws}/groups/{group}");
    let change = json!({"role_id": strong});
    server.put(&one, change).await.expect(200);
    let member = json!({"account_id": newcomer});
    let path = format!("{one}/members");
    let answer = server.by(&key, Method::POST, &path, member).await;
    answer.expect(403);
}

async fn nobody_adds_themself_to_a_group(server: Server) {
    let (ws, account_id, key) = governor(&server).await;
    let group = server.group(&ws, "plain", None).await;
    let members = format!("{ws}/groups/{group}/members");
    let own = json!({"account_id": account_id});
    let answer = server.by(&key, Method::POST, &members, own.clone()).await;
    let error = answer.expect(403);
    assert!(message(&error).contains("yourself"), "{error}");
    // Nor by another key of theirs, nor as an owner.
    let other = server.key(&account_id, json!(["*"])).await;
    let answer = server.by(&other, Method::POST, &members, own).await;
    answer.expect(403);
    let owner = json!({"account_id": server.owner_id().await});
    server.post(&members, owner).await.expect(403);
    assert_eq!(server.get(&members).await.expect(200), json!([]));
}

async fn limited_key_passes_on_no_more_than_its_scopes(server: Server) {
    let ws = server.workspace().await;
    let owner_id = server.owner_id().await;
    let scopes = json!([
        "governance:read",
        "governance:write",
        "workspace:members",
        "sources:read"
    ]);
    let key = server.key(&owner_id, scopes).await;
    let (newcomer, _) = server.account("n@example.com", json!(["*"])).await;
    let (insider, _) = server.joined(&ws, "i@example.com", MEMBER).await;
    let weak = server.role(&ws, "weak", &["sources.read"]).await;
    let strong = server.role(&ws, "strong", &["sources.write"]).await;
    let group = server.group(&ws, "strong", Some(&strong)).await;
    let plain = server.group(&ws, "plain", None).await;
    let members = format!("{ws}/members");
    for (method, path, body, status) in [
        (
            Method::POST,
            format!("{ws}/roles"),
            json!({"name": "a", "permissions": ["sources.write"]}),
            403,
        ),
        (
            Method::POST,
            format!("{ws}/roles"),
            json!({"name": "a", "permissions": ["sources.read"]}),
            201,
        ),
        (
            Method::PUT,
            format!("{ws}/roles/{weak}"),
            json!({"permissions": ["models.read"]}),
            403,
        ),
        (
            Method::POST,
            format!("{ws}/groups"),
            json!({"name": "a", "role_id": strong}),
            403,
        ),
        (
            Method::POST,
            format!("{ws}/groups"),
            json!({"name": "a", "role_id": weak}),
            201,
        ),
        (
            Method::PUT,
            format!("{ws}/groups/{plain}"),
            json!({"role_id": OWNER}),
            403,
        ),
        (
            Method::POST,
            format!("{ws}/groups/{group}/members"),
            json!({"account_id": insider}),
            403,
        ),
        (
            Method::POST,
            format!("{ws}/groups/{plain}/members"),
            json!({"account_id": insider}),
            201,
        ),
        (
            Method::POST,
            members.clone(),
            json!({"account_id": newcomer, "role_id": strong}),
            403,
        ),
        (
            Method::POST,
            members.clone(),
            json!({"account_id": newcomer, "role_id": OWNER}),
            403,
        ),
        (
            Method::POST,
            members.clone(),
            json!({"account_id": newcomer, "role_id": weak}),
            201,
        ),
        (
            Method::PUT,
            format!("{members}/{newcomer}"),
            json!({"role_id": MEMBER}),
            403,
        ),
        (
            Method::POST,
            format!("/api/v1/accounts/{newcomer}/keys"),
            json!({"name": "a", "scopes": ["sources:write"]}),
            403,
        ),
    ] {
        let answer = server.by(&key, method.clone(), &path, body.clone()).await;
        assert_eq!(
            answer.status, status,
            "{method} {path} {body}: {:#}",
            answer.body
        );
    }
}

async fn custom_role_is_given_by_who_holds_it(server: Server) {
    let ws = server.workspace().await;
    let hr = ["sources.read", "workspace.read", "workspace.members"];
    let hr = server.role(&ws, "hr", &hr).await;
    let weak = server.role(&ws, "weak", &["sources.read"]).await;
    let strong = server.role(&ws, "strong", &["sources.write"]).await;
    let (own_id, key) = server.joined(&ws, "hr@example.com", &hr).await;
    let (newcomer, _) = server.account("n@example.com", json!(["*"])).await;
    let members = format!("{ws}/members");
    let one = format!("{members}/{newcomer}");
    for role in [strong.as_str(), MEMBER, ADMIN, OWNER] {
        let body = json!({"account_id": newcomer, "role_id": role});
        let answer = server.by(&key, Method::POST, &members, body).await;
        answer.expect(403);
    }
    let body = json!({"account_id": newcomer, "role_id": weak});
    let made = server.by(&key, Method::POST, &members, body).await;
    assert_eq!(made.expect(201)["role_id"], json!(weak));
    for role in [strong.as_str(), MEMBER, ADMIN, OWNER] {
        let answer = server
            .by(&key, Method::PUT, &one, json!({"role_id": role}))
            .await;
        answer.expect(403);
        // Nor to oneself.
        let own = format!("{members}/{own_id}");
        let answer = server
            .by(&key, Method::PUT, &own, json!({"role_id": role}))
            .await;
        answer.expect(403);
    }
    let answer = server
        .by(&key, Method::PUT, &one, json!({"role_id": hr}))
        .await;
    answer.expect(200);
    // Who may not change members changes none, whatever they hold besides.
    let (_, governor) = server.joined(&ws, "g@example.com", MEMBER).await;
    let answer = server.by(&governor, Method::DELETE, &one, json!({})).await;
    answer.expect(403);
    let answer = server.by(&key, Method::DELETE, &one, json!({})).await;
    answer.expect(204);
}

async fn owners_and_admins_are_made_and_unmade_by_their_like(server: Server) {
    let ws = server.workspace().await;
    let members = format!("{ws}/members");
    let all = server.get("/api/v1/permissions").await.expect(200);
    let all: Vec<String> = column(&all, "key").into_iter().map(super::text).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    // All permissions do not make an owner or an admin, whose rows nothing restricts.
    let mighty = server.role(&ws, "mighty", &all).await;
    let (_, mighty) = server.joined(&ws, "x@example.com", &mighty).await;
    let (admin_id, admin) = server.joined(&ws, "a@example.com", ADMIN).await;
    let (second_id, _) = server.joined(&ws, "b@example.com", ADMIN).await;
    let (owner_id, owner) = server.joined(&ws, "o@example.com", OWNER).await;
    let (plain, _) = server.joined(&ws, "p@example.com", MEMBER).await;
    let role = |id: &str| json!({"role_id": id});
    for (key, account, body, status) in [
        (&mighty, &plain, role(OWNER), 403),
        (&mighty, &plain, role(ADMIN), 403),
        (&mighty, &admin_id, role(MEMBER), 403),
        (&mighty, &owner_id, role(MEMBER), 403),
        (&admin, &plain, role(OWNER), 403),
        (&admin, &owner_id, role(MEMBER), 403),
        (&admin, &admin_id, role(OWNER), 403),
        (&admin, &plain, role(ADMIN), 200),
        (&admin, &second_id, role(MEMBER), 200),
        (&owner, &second_id, role(OWNER), 200),
    ] {
        let path = format!("{members}/{account}");
        let answer = server.by(key, Method::PUT, &path, body.clone()).await;
        assert_eq!(answer.status, status, "{path} {body}: {:#}", answer.body);
    }
    for (key, account, status) in [
        (&mighty, &admin_id, 403),
        (&mighty, &owner_id, 403),
        (&admin, &owner_id, 403),
        (&admin, &plain, 204),
        (&owner, &second_id, 204),
    ] {
        let path = format!("{members}/{account}");
        let answer = server.by(key, Method::DELETE, &path, json!({})).await;
        assert_eq!(answer.status, status, "{path}: {:#}", answer.body);
    }
}

async fn role_of_a_group_makes_nobody_an_owner(server: Server) {
    let ws = server.workspace().await;
    let members = format!("{ws}/members");
    let (account_id, key) = server.joined(&ws, "m@example.com", MEMBER).await;
    let (plain, _) = server.joined(&ws, "p@example.com", MEMBER).await;
    let group = server.group(&ws, "owners", Some(OWNER)).await;
    server.enroll(&ws, &group, &account_id).await;
    assert_eq!(server.permissions(&ws, &key).await.len(), 40);
    for (path, role) in [(&plain, OWNER), (&plain, ADMIN), (&account_id, OWNER)] {
        let path = format!("{members}/{path}");
        let answer = server
            .by(&key, Method::PUT, &path, json!({"role_id": role}))
            .await;
        answer.expect(403);
    }
    let answer = server
        .by(&key, Method::GET, "/api/v1/accounts", json!({}))
        .await;
    answer.expect(403);
    // The first owner cannot leave their office to it.
    let first = format!("{members}/{}", server.owner_id().await);
    server.delete(&first).await.expect(409);
}

async fn last_owner_stays(server: Server) {
    let ws = server.workspace().await;
    let first = format!("{ws}/members/{}", server.owner_id().await);
    let custom = server.role(&ws, "custom", &["sources.read"]).await;
    for role in [ADMIN, custom.as_str()] {
        let answer = server.put(&first, json!({"role_id": role})).await;
        answer.expect(409);
    }
    server.delete(&first).await.expect(409);
    // Of two owners who remove one another at the same time one stays.
    let (second, key) = server.joined(&ws, "o@example.com", OWNER).await;
    let second = format!("{ws}/members/{second}");
    let (one, other) = tokio::join!(
        server.delete(&second),
        server.by(&key, Method::DELETE, &first, json!({})),
    );
    let statuses = [one.status, other.status];
    assert_eq!(
        statuses.iter().filter(|status| **status == 204).count(),
        1,
        "{statuses:?}"
    );
    let survivor = if one.status == 204 {
        super::BOOTSTRAP_KEY
    } else {
        key.as_str()
    };
    let left = server
        .by(survivor, Method::GET, &format!("{ws}/members"), json!({}))
        .await;
    let left = left.expect(200);
    assert_eq!(column(&left, "role_id"), [&json!(OWNER)]);
}
