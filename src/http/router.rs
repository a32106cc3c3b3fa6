//! Every route of the control plane, on one page.

use axum::Router;
use axum::routing::{delete, get, post};
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    Api, accounts, destination_rules, destinations, error, explain, me, models, preview, process,
    runs, sources, syncs, trace, workspaces,
};

/// The service of one process.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/livez", get(process::livez))
        .route("/readyz", get(process::readyz))
        .route("/metrics", get(process::metrics))
        .route("/version", get(process::version))
        .nest("/api/v1", api_routes())
        .fallback(error::unknown_route)
        .method_not_allowed_fallback(error::unknown_method)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(axum::middleware::from_fn_with_state(
            api.clone(),
            trace::trace,
        ))
        .with_state(api)
}

fn api_routes() -> Router<Api> {
    use accounts as acc;
    use destination_rules as rules;
    use destinations as dst;
    use models as mdl;
    use sources as src;
    use workspaces as wsp;

    Router::new()
        .route("/me", get(me::get_me))
        .route(
            "/accounts",
            get(acc::list_accounts).post(acc::create_account),
        )
        .route(
            "/accounts/{id}",
            get(acc::get_account).put(acc::update_account),
        )
        .route(
            "/accounts/{id}/keys",
            get(acc::list_keys).post(acc::create_key),
        )
        .route("/accounts/{id}/keys/{keyId}", delete(acc::delete_key))
        .route(
            "/workspaces",
            get(wsp::list_workspaces).post(wsp::create_workspace),
        )
        .route(
            "/workspaces/{id}",
            get(wsp::get_workspace).put(wsp::update_workspace),
        )
        .route(
            "/workspaces/{id}/members",
            get(wsp::list_members).post(wsp::add_member),
        )
        .route(
            "/workspaces/{id}/members/{accountId}",
            get(wsp::get_member)
                .put(wsp::update_member)
                .delete(wsp::remove_member),
        )
        .route(
            "/workspaces/{id}/sources",
            get(src::list_sources).post(src::create_source),
        )
        .route(
            "/workspaces/{id}/sources/{sourceId}",
            get(src::get_source)
                .put(src::update_source)
                .delete(src::delete_source),
        )
        .route(
            "/workspaces/{id}/models",
            get(mdl::list_models).post(mdl::create_model),
        )
        .route(
            "/workspaces/{id}/models/{modelId}",
            get(mdl::get_model)
                .put(mdl::update_model)
                .delete(mdl::delete_model),
        )
        .route(
            "/workspaces/{id}/destinations",
            get(dst::list_destinations).post(dst::create_destination),
        )
        .route(
            "/workspaces/{id}/destinations/{destinationId}",
            get(dst::get_destination)
                .put(dst::update_destination)
                .delete(dst::delete_destination),
        )
        .route(
            "/workspaces/{id}/syncs",
            get(syncs::list_syncs).post(syncs::create_sync),
        )
        .route(
            "/workspaces/{id}/syncs/{syncId}",
            get(syncs::get_sync)
                .put(syncs::update_sync)
                .delete(syncs::delete_sync),
        )
        .route(
            "/workspaces/{id}/syncs/{syncId}/trigger",
            post(syncs::trigger_sync),
        )
        .route("/workspaces/{id}/syncs/{syncId}/runs", get(runs::list_runs))
        .route("/workspaces/{id}/runs/{runId}", get(runs::get_run))
        .route(
            "/workspaces/{id}/runs/{runId}/cancel",
            post(runs::cancel_run),
        )
        .route(
            "/workspaces/{id}/destination-rules",
            get(rules::list_destination_rules).post(rules::create_destination_rule),
        )
        .route(
            "/workspaces/{id}/destination-rules/{ruleId}",
            get(rules::get_destination_rule)
                .put(rules::update_destination_rule)
                .delete(rules::delete_destination_rule),
        )
        .route(
            "/workspaces/{id}/destination-types/{destType}/rules",
            get(rules::list_destination_rules_by_type),
        )
        .route("/workspaces/{id}/preview", post(preview::preview))
        .route("/workspaces/{id}/explain", post(explain::explain))
}
