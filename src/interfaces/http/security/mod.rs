//! Who may ask: names of this machine only, pages of this origin only, those who are signed in only, and not too often.
//!
//! A page on another site can make a browser send requests here, also under a name that it had resolved to this machine;
//! so the name in `Host` and the origin are checked before anything else. The cookie is for browsers, the token for programs.

pub(super) mod credentials;
pub(super) mod guard;
pub(super) mod limits;
