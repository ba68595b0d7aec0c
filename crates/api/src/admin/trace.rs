//! One span for each administrative request. Which endpoint it names is the router's pattern, never the path that was sent.

use super::Admin;
use super::answer::Told;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use countersign_base::Tenant;
use countersign_control::traces::{Span, SpanRoute, Surface};

pub(super) async fn traced(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let traces = admin.fabric.traces();
    let span = traces.begin(Surface::Admin, request.method(), request.headers());
    let Some(mut span) = span else {
        return next.run(request).await;
    };
    if let Some(pattern) = request.extensions().get::<MatchedPath>() {
        span.route = Some(SpanRoute::Pattern(pattern.as_str().into()));
    }
    span.tenant = tenant(&admin, request.uri().path());
    let response = next.run(request).await;
    answered(&mut span, &response);
    response
}

/// The tenant that the path names, if there is one of that name: a stranger's word goes no further.
fn tenant(admin: &Admin, path: &str) -> Option<Tenant> {
    let below = path.strip_prefix("/admin/v1/tenants/")?;
    let name: Tenant = below.split('/').next()?.parse().ok()?;
    admin
        .fabric
        .directory()
        .tenant(&name)
        .map(|tenant| tenant.name.clone())
}

fn answered(span: &mut Span, response: &Response) {
    span.status = Some(response.status().as_u16());
    if let Some(told) = response.extensions().get::<Told>() {
        span.decision = told.decision;
        span.error = told.error;
    }
}
