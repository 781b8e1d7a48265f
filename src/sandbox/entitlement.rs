//! What a session sees when the account's entitlement is enforced.
//!
//! *Its one idea: without `enableentitlement` nothing is enforced* on an account as MediaSpace customers
//! have it, and a plain user's session may change any membership. With it, a category is seen
//! through its privacy context, and changed by its managers (`kEntitlementUtils.php`).

use super::dispatch::Call;
use super::state::{ACTIVE, Category, MANAGER, UserKey};

impl Call<'_> {
    /// Whether entitlement is enforced for this session. `enableentitlement` wins over
    /// `disableentitlement`; an account without the feature never enforces.
    pub(super) fn is_enforced(&self) -> bool {
        let ks = self.session.ks.as_ref();
        self.state.partner.entitlement
            && ks.is_some_and(|ks| ks.privilege("enableentitlement").is_some())
    }

    /// The user of the session, if Kaltura knows one.
    pub(super) fn user(&self) -> Option<UserKey> {
        let id = self.session.user_id();
        (!id.is_empty())
            .then(|| self.state.users.find(id))
            .flatten()
    }

    /// Notes that the session writes: Kaltura then makes its user, if there is none.
    pub(super) fn make_session_user(&mut self) {
        let id = self.session.user_id().to_owned();
        if id.is_empty() {
            if self.session.ks.is_some() && !*self.state.nameless_user {
                *self.state.nameless_user = true;
            }
        } else {
            self.state.user_or_new(&id, self.now_ms);
        }
    }

    /// A category the session sees.
    pub(super) fn category(&self, id: i64) -> Option<&Category> {
        let category = self.state.categories.get(id)?;
        self.sees(category).then_some(category)
    }

    /// Whether the session sees a category: it shares a privacy context, and the category is
    /// listed for all or the session's user is a member.
    pub(super) fn sees(&self, category: &Category) -> bool {
        if !self.is_enforced() {
            return true;
        }
        let ks = self.session.ks.as_ref();
        let wanted = ks
            .and_then(|ks| ks.privilege("privacycontext"))
            .unwrap_or("");
        let shared = match (wanted, category.contexts.as_str()) {
            ("", contexts) => contexts.is_empty(),
            (wanted, contexts) => contexts.split(',').any(|context| context == wanted),
        };
        let listed = category.appear_in_list == 1 && category.privacy != 3;
        shared && (listed || self.level_in(category).is_some())
    }

    /// Whether the session's user manages a category.
    pub(super) fn manages(&self, category: &Category) -> bool {
        self.level_in(category) == Some(MANAGER)
    }

    fn level_in(&self, category: &Category) -> Option<i64> {
        let from = category.members_from();
        let row = self.state.memberships.find(from, self.user()?)?;
        let cells = self.state.memberships.cells(row);
        (cells.status == ACTIVE).then_some(cells.level)
    }
}
