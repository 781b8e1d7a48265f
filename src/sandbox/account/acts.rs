//! What people do by hand, as a page or a script asks for it.
//!
//! *Its one idea: an act is said in words and answered with a sentence*, and one that means nobody is
//! refused instead of doing nothing.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::words::{JoinPolicy, Level, Method, Status};
use super::{Account, NewCategory};
use crate::sandbox::text::is_user_id;

/// Where channels are made.
pub const CHANNELS: &str = "MediaSpace>site>channels";

/// Something that a person does to the account, past Kaltura's API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Act {
    /// Makes somebody a member, or changes what is said of a membership. A new one is a manual,
    /// active member's, unless it says otherwise.
    SetMember {
        /// The channel: its number, or its reference ID.
        channel: ChannelId,
        /// The user, who is made if need be.
        user: String,
        /// What the member may do.
        level: Option<Level>,
        /// Who takes care of it.
        method: Option<Method>,
        /// Whether it counts.
        status: Option<Status>,
    },
    /// Removes a membership.
    RemoveMember {
        /// The channel.
        channel: ChannelId,
        /// The user.
        user: String,
    },
    /// Makes a user.
    AddUser {
        /// The id.
        user: String,
        /// The mail address.
        email: Option<String>,
    },
    /// Gives a user another id; memberships follow.
    RenameUser {
        /// The user.
        user: String,
        /// The id from now on.
        new_id: String,
    },
    /// Deletes a user; memberships follow in the background.
    DeleteUser {
        /// The user.
        user: String,
    },
    /// Makes a channel.
    AddChannel {
        /// Its name.
        name: String,
        /// Its reference ID.
        reference_id: Option<String>,
        /// Its owner.
        owner: Option<String>,
        /// The category it is made in: `MediaSpace>site>channels` without.
        parent: Option<String>,
    },
    /// Gives a channel another name.
    RenameChannel {
        /// The channel.
        channel: ChannelId,
        /// The name from now on.
        name: String,
    },
    /// Deletes a channel with everything below it.
    DeleteChannel {
        /// The channel.
        channel: ChannelId,
    },
    /// Gives a channel another reference ID; none without.
    SetReferenceId {
        /// The channel.
        channel: ChannelId,
        /// The reference ID from now on.
        reference_id: Option<String>,
    },
    /// Says who may join by themselves, which the API cannot.
    SetJoinPolicy {
        /// The channel.
        channel: ChannelId,
        /// Who may.
        policy: JoinPolicy,
    },
    /// Makes a channel inherit its ancestor's members.
    Inherit {
        /// The channel.
        channel: ChannelId,
    },
    /// Changes limits of the account; those that are not said stay.
    SetLimits {
        /// Active members of a category, its owner counted.
        users_per_category: Option<i64>,
        /// Rows of a page at most.
        max_page_size: Option<usize>,
        /// Rows of a filter that can be reached at all.
        max_matches: Option<usize>,
        /// Values of a comma list that count.
        list_values: Option<usize>,
    },
    /// Makes every session so far expire.
    ExpireSessions,
}

/// A channel as somebody names it: a number is Kaltura's, a text is a reference ID (or a number, where
/// no channel has it for a reference ID).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ChannelId(Value);

/// Why an act was not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ActError {
    /// There is no such channel.
    #[error("there is no channel {0}")]
    NoChannel(String),
    /// Several channels have this reference ID.
    #[error("{count} channels have the reference ID {reference_id}: name one by its number")]
    SeveralChannels {
        /// The reference ID.
        reference_id: String,
        /// How many have it.
        count: usize,
    },
    /// There is such a channel already.
    #[error("there is a channel {name} already, number {id}")]
    ThereIsOne {
        /// Its name.
        name: String,
        /// Its number.
        id: i64,
    },
    /// There is no such user.
    #[error("there is no user {0}")]
    NoUser(String),
    /// There is such a user already.
    #[error("there is a user {0} already")]
    UserExists(String),
    /// The user is not in the channel.
    #[error("{user} is not in {channel}")]
    NotAMember {
        /// The user.
        user: String,
        /// The channel's name.
        channel: String,
    },
    /// Kaltura would not take this for a user's id.
    #[error(
        "{0:?} cannot be a user's id: letters, digits and ,!#$%&'*+?^_`{{|}}~.@- are allowed, no spaces"
    )]
    NotAnId(String),
    /// A name that cannot be.
    #[error("{0:?} cannot be a channel's name: it is empty, or has a > in it")]
    NotAName(String),
    /// A channel without its own members has none to change.
    #[error("{0} inherits its members: change them where they are")]
    Inherits(String),
}

impl Account {
    /// Does what a person asks for, and says what was done.
    pub fn perform(&self, act: &Act) -> Result<String, ActError> {
        match act {
            Act::SetMember {
                channel,
                user,
                level,
                method,
                status,
            } => self.set_member(channel, user, *level, *method, *status),
            Act::RemoveMember { channel, user } => {
                let (id, name) = self.own_members(channel)?;
                if self.member(id, user).is_none() {
                    let (user, channel) = (user.clone(), name);
                    return Err(ActError::NotAMember { user, channel });
                }
                self.remove_membership(id, user);
                Ok(format!("{user} is removed from {name}."))
            }
            Act::AddUser { user, email } => {
                self.free_id(user)?;
                self.add_user(user, email.as_deref());
                Ok(format!("{user} is a user now."))
            }
            Act::RenameUser { user, new_id } => {
                let known = self
                    .user(user)
                    .ok_or_else(|| ActError::NoUser(user.clone()))?;
                if !known.eq_ignore_ascii_case(new_id) {
                    self.free_id(new_id)?;
                }
                self.rename_user(user, new_id);
                Ok(format!("{known} is {new_id} now."))
            }
            Act::DeleteUser { user } => {
                let known = self
                    .user(user)
                    .ok_or_else(|| ActError::NoUser(user.clone()))?;
                self.delete_user(user);
                Ok(format!(
                    "{known} is deleted; the memberships follow in the background."
                ))
            }
            Act::SetLimits {
                users_per_category,
                max_page_size,
                max_matches,
                list_values,
            } => {
                self.act(|state, _| {
                    let limits = &mut state.limits;
                    limits.users_per_category =
                        users_per_category.unwrap_or(limits.users_per_category);
                    limits.max_page_size = max_page_size.unwrap_or(limits.max_page_size).max(1);
                    limits.max_matches = max_matches.unwrap_or(limits.max_matches);
                    limits.list_values = list_values.unwrap_or(limits.list_values);
                });
                Ok("The account has other limits now.".to_owned())
            }
            Act::ExpireSessions => {
                self.expire_sessions();
                Ok("Every session so far has expired.".to_owned())
            }
            other => self.change_channel(other),
        }
    }

    fn change_channel(&self, act: &Act) -> Result<String, ActError> {
        match act {
            Act::AddChannel {
                name,
                reference_id,
                owner,
                parent,
            } => {
                check_name(name)?;
                let parent = parent.as_deref().unwrap_or(CHANNELS);
                let path = format!("{parent}>{name}");
                if let Some(id) = self.category_at(&path) {
                    return Err(ActError::ThereIsOne {
                        name: name.clone(),
                        id,
                    });
                }
                let id = self.add_category(&NewCategory {
                    path,
                    reference_id: reference_id.clone(),
                    owner: owner.clone(),
                    inherit: false,
                });
                Ok(format!("{name} is a channel now, number {id}."))
            }
            Act::RenameChannel { channel, name } => {
                check_name(name)?;
                let (id, old) = self.find(channel)?;
                self.rename_category(id, name);
                Ok(format!("{old} is called {name} now."))
            }
            Act::DeleteChannel { channel } => {
                let (id, name) = self.find(channel)?;
                self.delete_category(id);
                Ok(format!("{name} is deleted."))
            }
            Act::SetReferenceId {
                channel,
                reference_id,
            } => {
                let (id, name) = self.find(channel)?;
                self.set_reference_id(id, reference_id.as_deref());
                let shown = reference_id.as_deref().unwrap_or("none");
                Ok(format!("The reference ID of {name} is {shown} now."))
            }
            Act::SetJoinPolicy { channel, policy } => {
                let (id, name) = self.find(channel)?;
                self.set_join_policy(id, policy.number());
                Ok(format!("Who may join {name}: {policy}."))
            }
            Act::Inherit { channel } => {
                let (id, name) = self.find(channel)?;
                self.inherit(id);
                Ok(format!("{name} inherits its members now."))
            }
            _ => Ok(String::new()),
        }
    }

    fn set_member(
        &self,
        channel: &ChannelId,
        user: &str,
        level: Option<Level>,
        method: Option<Method>,
        status: Option<Status>,
    ) -> Result<String, ActError> {
        let (id, name) = self.own_members(channel)?;
        if self.user(user).is_none() && !is_user_id(user) {
            return Err(ActError::NotAnId(user.to_owned()));
        }
        let there = self.member(id, user);
        let now = |of: fn(&super::MemberView) -> i64| there.as_ref().map(of);
        let level = level
            .map(Level::number)
            .or(now(|there| there.permission_level));
        let method = method
            .map(Method::number)
            .or(now(|there| there.update_method));
        let status = status.map(Status::number).or(now(|there| there.status));
        let level = level.unwrap_or(Level::Member.number());
        let method = method.unwrap_or(Method::Manual.number());
        let status = status.unwrap_or(Status::Active.number());
        self.set_membership(id, user, level, method, status);
        let (level, method, status) = (Level::of(level), Method::of(method), Status::of(status));
        Ok(format!("{user} is in {name}: {level}, {method}, {status}."))
    }

    /// A channel that has members of its own.
    fn own_members(&self, channel: &ChannelId) -> Result<(i64, String), ActError> {
        let (id, name) = self.find(channel)?;
        let inherits = self
            .channel(id)
            .is_some_and(|it| it.inherits_from.is_some());
        if inherits {
            return Err(ActError::Inherits(name));
        }
        Ok((id, name))
    }

    fn free_id(&self, id: &str) -> Result<(), ActError> {
        if !is_user_id(id) {
            return Err(ActError::NotAnId(id.to_owned()));
        }
        match self.user(id) {
            Some(known) => Err(ActError::UserExists(known)),
            None => Ok(()),
        }
    }

    /// The number and the name of a channel.
    fn find(&self, channel: &ChannelId) -> Result<(i64, String), ActError> {
        let text = match &channel.0 {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let meant = match &channel.0 {
            Value::String(reference_id) => self.channels_of(reference_id),
            _ => Vec::new(),
        };
        let id = match meant[..] {
            [] => text.parse().ok(),
            [id] => Some(id),
            _ => {
                return Err(ActError::SeveralChannels {
                    reference_id: text,
                    count: meant.len(),
                });
            }
        };
        let found = id.and_then(|id| self.channel(id));
        let found = found.ok_or(ActError::NoChannel(text))?;
        Ok((found.id, found.name))
    }
}

fn check_name(name: &str) -> Result<(), ActError> {
    if name.trim().is_empty() || name.contains('>') {
        return Err(ActError::NotAName(name.to_owned()));
    }
    Ok(())
}
