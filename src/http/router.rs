//! Every route of the control plane, on one page.

use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{
    Api, accounts, alert_channels, audit, content, destination_rules, destinations, docs,
    effective_policy, error, explain, governance, groups, guard, idempotency, limits, me, members,
    models, openapi, packs, permissions, preview, process, proxy, queries, records, revisions,
    roles, rows, runs, sources, subset_categories, subsets, syncs, trace, workspaces,
};

/// The service of one process. Its document describes the routes of the lists below; the
/// page `/docs` is for people.
pub fn router(api: Api) -> Router {
    let api_routes = api_routes().nest("/governance", governance_routes());
    let (api_routes, api_operations) = api_routes.split_for_parts();
    // The last is the outermost: a request is admitted before anything else is done for it.
    let api_routes = api_routes
        .route_layer(from_fn_with_state(api.clone(), idempotency::once))
        .route_layer(from_fn_with_state(api.clone(), limits::admit));
    let (stream_routes, stream_operations) = stream_routes().split_for_parts();
    let stream_routes = stream_routes.route_layer(from_fn_with_state(api.clone(), limits::admit));
    let (content_routes, content_operations) = content_routes().split_for_parts();
    let content_routes = content_routes
        .route_layer(from_fn_with_state(api.clone(), idempotency::once))
        .route_layer(from_fn_with_state(api.clone(), limits::admit));
    let (process_routes, process_operations) = process_routes().split_for_parts();
    let api_operations = api_operations.merge_from(stream_operations);
    let operations = process_operations.merge_from(content_operations);
    let document = openapi::document(operations.nest("/api/v1", api_operations));
    process_routes
        .layer(Extension(document))
        .route("/docs", get(docs::page))
        .route("/docs/docs.js", get(docs::script))
        .route("/docs/docs.css", get(docs::style))
        .nest("/api/v1", api_routes.merge(stream_routes))
        .merge(content_routes)
        .merge(proxy_routes(&api))
        .fallback(error::unknown_route)
        .method_not_allowed_fallback(error::unknown_method)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn(content::envelope::envelop))
        .layer(from_fn_with_state(api.clone(), trace::trace))
        .with_state(api)
}

/// What goes on to destinations, by whatever method.
fn proxy_routes(api: &Api) -> Router<Api> {
    let base = "/proxy/{workspaceId}/{destinationId}";
    Router::new()
        .route(base, any(proxy::forward))
        .route(&format!("{base}/"), any(proxy::forward))
        .route(&format!("{base}/{{*path}}"), any(proxy::forward))
        .route_layer(from_fn_with_state(api.clone(), limits::admit))
        .route_layer(from_fn(proxy::tell_keys_apart))
}

/// What takes no key.
fn process_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(process::livez))
        .routes(routes!(process::readyz))
        .routes(routes!(process::metrics))
        .routes(routes!(process::version))
        .routes(routes!(openapi::get_openapi))
}

/// What takes a key, and a body or an answer that is never held as a whole, under `/api/v1`:
/// nothing reads it but the handler and the caller.
fn stream_routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(guard::filter_records))
        .routes(routes!(records::upload_records))
        .routes(routes!(queries::query))
        .routes(routes!(rows::list_rows))
}

/// What takes a key, under `/api/v1`.
fn api_routes() -> OpenApiRouter<Api> {
    use accounts as acc;
    use alert_channels as alc;
    use destination_rules as rules;
    use destinations as dst;
    use models as mdl;
    use sources as src;
    use subset_categories as cat;
    use workspaces as wsp;

    OpenApiRouter::new()
        .routes(routes!(me::get_me))
        .routes(routes!(acc::list_accounts, acc::create_account))
        .routes(routes!(acc::get_account, acc::update_account))
        .routes(routes!(acc::list_keys, acc::create_key))
        .routes(routes!(acc::delete_key))
        .routes(routes!(wsp::list_workspaces, wsp::create_workspace))
        .routes(routes!(wsp::get_workspace, wsp::update_workspace))
        .routes(routes!(members::list_members, members::add_member))
        .routes(routes!(
            members::get_member,
            members::update_member,
            members::remove_member
        ))
        .routes(routes!(src::list_sources, src::create_source))
        .routes(routes!(
            src::get_source,
            src::update_source,
            src::delete_source
        ))
        .routes(routes!(mdl::list_models, mdl::create_model))
        .routes(routes!(
            mdl::get_model,
            mdl::update_model,
            mdl::delete_model
        ))
        .routes(routes!(dst::list_destinations, dst::create_destination))
        .routes(routes!(
            dst::get_destination,
            dst::update_destination,
            dst::delete_destination
        ))
        .routes(routes!(syncs::list_syncs, syncs::create_sync))
        .routes(routes!(
            syncs::get_sync,
            syncs::update_sync,
            syncs::delete_sync
        ))
        .routes(routes!(syncs::trigger_sync))
        .routes(routes!(runs::list_runs))
        .routes(routes!(runs::get_run))
        .routes(routes!(runs::cancel_run))
        .routes(routes!(
            rules::list_destination_rules,
            rules::create_destination_rule
        ))
        .routes(routes!(
            rules::get_destination_rule,
            rules::update_destination_rule,
            rules::delete_destination_rule
        ))
        .routes(routes!(rules::list_destination_rules_by_type))
        .routes(routes!(alc::list_alert_channels, alc::create_alert_channel))
        .routes(routes!(
            alc::get_alert_channel,
            alc::update_alert_channel,
            alc::delete_alert_channel
        ))
        .routes(routes!(audit::list_audit))
        .routes(routes!(audit::list_organisation_audit))
        .routes(routes!(permissions::list_permissions))
        .routes(routes!(permissions::list_my_permissions))
        .routes(routes!(roles::list_roles, roles::create_role))
        .routes(routes!(
            roles::get_role,
            roles::update_role,
            roles::delete_role
        ))
        .routes(routes!(groups::list_groups, groups::create_group))
        .routes(routes!(
            groups::get_group,
            groups::update_group,
            groups::delete_group
        ))
        .routes(routes!(
            groups::list_group_members,
            groups::add_group_member
        ))
        .routes(routes!(groups::remove_group_member))
        .routes(routes!(
            groups::list_group_subsets,
            groups::replace_group_subsets
        ))
        .routes(routes!(
            cat::list_subset_categories,
            cat::create_subset_category
        ))
        .routes(routes!(
            cat::get_subset_category,
            cat::update_subset_category,
            cat::delete_subset_category
        ))
        .routes(routes!(subsets::list_subsets, subsets::create_subset))
        .routes(routes!(subsets::list_my_subsets))
        .routes(routes!(
            subsets::get_subset,
            subsets::update_subset,
            subsets::delete_subset
        ))
        .routes(routes!(
            subsets::list_assignments,
            subsets::create_assignment
        ))
        .routes(routes!(subsets::delete_assignment))
        .routes(routes!(revisions::list_revisions))
        .routes(routes!(revisions::get_revision))
        .routes(routes!(revisions::restore_revision))
        .routes(routes!(preview::preview))
        .routes(routes!(explain::explain))
        .routes(routes!(effective_policy::get_effective_policy))
        .routes(routes!(packs::plan))
        .routes(routes!(packs::apply))
}

/// Compliance, under `/api/v1/governance`. Beside what seed 000 has: the resources with their
/// facts, overrides, and the versions of a template.
fn governance_routes() -> OpenApiRouter<Api> {
    use governance::{
        attestations as att, compliance, enforcement, instances, overrides, policies as pol,
        resources, snapshots as snap, solutions as sol, templates as tpl,
    };

    OpenApiRouter::new()
        .routes(routes!(pol::list_policies, pol::create_policy))
        .routes(routes!(
            pol::get_policy,
            pol::update_policy,
            pol::delete_policy
        ))
        .routes(routes!(pol::import_policy))
        .routes(routes!(
            instances::list_instances,
            instances::create_instance
        ))
        .routes(routes!(instances::submit_instance))
        .routes(routes!(instances::approve_instance))
        .routes(routes!(instances::deny_instance))
        .routes(routes!(instances::comment_instance))
        .routes(routes!(overrides::grant_override, overrides::end_override))
        .routes(routes!(enforcement::check_enforcement))
        .routes(routes!(enforcement::get_governance_metrics))
        .routes(routes!(enforcement::list_resource_types))
        .routes(routes!(
            resources::get_resource,
            resources::declare_resource
        ))
        .routes(routes!(sol::list_solutions, sol::create_solution))
        .routes(routes!(
            sol::get_solution,
            sol::update_solution,
            sol::delete_solution
        ))
        .routes(routes!(sol::export_solution))
        .routes(routes!(snap::list_snapshots, snap::create_snapshot))
        .routes(routes!(snap::get_snapshot))
        .routes(routes!(snap::freeze_snapshot))
        .routes(routes!(snap::approve_snapshot))
        .routes(routes!(compliance::get_compliance_dashboard))
        .routes(routes!(compliance::get_compliance_history))
        .routes(routes!(att::list_attestations, att::create_attestation))
        .routes(routes!(att::get_attestation_summary))
        .routes(routes!(att::revoke_attestation))
        .routes(routes!(tpl::list_templates, tpl::create_template))
        .routes(routes!(
            tpl::get_template,
            tpl::update_template,
            tpl::delete_template
        ))
        .routes(routes!(tpl::list_template_versions))
        .routes(routes!(tpl::use_template))
        .routes(routes!(tpl::publish_template))
        .routes(routes!(tpl::review_template))
}

/// Content policies, at the root, as seeds 001 and 002 have them. What takes a key.
fn content_routes() -> OpenApiRouter<Api> {
    use content::policies as pol;
    use content::violations as vio;

    OpenApiRouter::new()
        .routes(routes!(vio::list_policy_violations))
        .routes(routes!(vio::list_policy_alerts))
        .routes(routes!(vio::list_violations_of_policy))
        .routes(routes!(
            pol::list_content_policies,
            pol::create_content_policy
        ))
        .routes(routes!(
            pol::get_content_policy,
            pol::update_content_policy,
            pol::delete_content_policy
        ))
}
