//! What users and groups show alike: Kaltura's `KalturaBaseUser`.
//!
//! *Its one idea: a group is a user.*

use crate::sandbox::answer::Answer;
use crate::sandbox::dispatch::Call;
use crate::sandbox::state::User;
use crate::sandbox::text::stored;

/// A user or a group on the way into an answer.
#[derive(Clone, Copy)]
pub(super) struct BaseUser<'a> {
    pub(super) user: &'a User,
    /// Right after `add`, the id as it was sent: then what only the database fills in is missing.
    pub(super) sent_id: Option<&'a str>,
}

impl BaseUser<'_> {
    /// The members, in Kaltura's order.
    pub(super) fn fields(self, call: &Call<'_>, full_name: Answer) -> Vec<(&'static str, Answer)> {
        let Self { user, sent_id } = self;
        let id = sent_id.map_or_else(|| Answer::Text(user.id.clone()), Answer::text);
        let size = sent_id.map_or(Answer::Int(0), |_| Answer::Null);
        let given = |text: &Option<String>| {
            let text = text.as_deref();
            text.map_or(Answer::Null, |text| self.text(text))
        };
        vec![
            ("id", id),
            ("partnerId", Answer::Int(call.state.partner.id)),
            ("screenName", self.text(&user.screen_name)),
            ("fullName", full_name),
            ("email", given(&user.email)),
            (
                "country",
                self.text(self.kept("country").unwrap_or_default()),
            ),
            ("state", self.maybe("state")),
            ("city", self.maybe("city")),
            ("zip", self.maybe("zip")),
            ("thumbnailUrl", self.maybe("thumbnailUrl")),
            (
                "description",
                self.text(self.kept("description").unwrap_or_default()),
            ),
            ("tags", given(&user.tags)),
            ("adminTags", Answer::Null),
            ("status", Answer::Int(user.status)),
            ("createdAt", Answer::Int(user.created)),
            ("updatedAt", Answer::Int(user.updated)),
            ("partnerData", self.maybe("partnerData")),
            ("storageSize", size),
            ("language", self.maybe("language")),
            ("statusUpdatedAt", Answer::Int(user.status_updated)),
            ("deletedAt", Answer::maybe_int(user.deleted)),
            ("userMode", Answer::Int(user.mode)),
            ("capabilities", Answer::List(Vec::new())),
        ]
    }

    /// A text: as it was sent, or as the database keeps it.
    pub(super) fn text(self, text: &str) -> Answer {
        match self.sent_id {
            Some(_) => Answer::text(text),
            None => Answer::text(&*stored(text)),
        }
    }

    /// A text that is merely kept.
    pub(super) fn maybe(self, name: &str) -> Answer {
        self.kept(name).map_or(Answer::Null, |text| self.text(text))
    }

    fn kept(&self, name: &str) -> Option<&str> {
        let mut texts = self.user.texts.iter();
        let kept = texts.find(|(known, _)| *known == name);
        kept.map(|(_, text)| text.as_str())
    }
}
