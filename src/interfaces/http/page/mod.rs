//! stub
pub(super) mod view { 
 pub(in crate::interfaces::http) struct View;
 impl View { pub(in crate::interfaces::http) fn of(_: &crate::interfaces::http::state::Service, _: &axum::http::HeaderMap, _: &axum::http::Uri) -> Self { Self } }
}
pub(super) mod sign_in {
 pub(in crate::interfaces::http) fn error_page(_: &super::view::View, _: &crate::interfaces::http::error::ApiError) -> String { String::new() }
}
pub(super) fn router() -> axum::Router<super::state::Service> { axum::Router::new() }
