//! `/assets/brand.css` and `/assets/logo`: what a tenant's pages look like. Public, like the pages.

use super::Identity;
use super::answer::Failure;
use super::call::Call;
use crate::pages::brand;
use axum::response::Response;
use std::sync::Arc;

pub(super) async fn style(_identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let style = brand::colours(&call.tenant).ok_or(Failure::NotFound)?;
    Ok(brand::asset("text/css; charset=utf-8", style.into_bytes()))
}

pub(super) async fn logo(_identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let logo = call
        .tenant
        .branding
        .logo
        .as_ref()
        .ok_or(Failure::NotFound)?;
    Ok(brand::asset(logo.media_type(), logo.bytes().to_vec()))
}
