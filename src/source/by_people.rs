//! Groups that do not name their people: `members = "memberOf"`, where the people name their groups.
//!
//! People are read first, so by the time a group is read, everybody in it is known. What has to be
//! remembered for that is one name for each person and one number for each membership.

use std::collections::HashMap;

use super::entry::Entry;
use super::meaning::MEMBER_OF;
use crate::directory::{
    Dn, EntryKind, EntryProblem, Member, MemberName, Observation, Reason, Role, Unusable,
};

/// Who says to be in which group.
#[derive(Debug, Default)]
pub(super) struct ByPeople {
    people: Vec<Dn>,
    groups: HashMap<Dn, Vec<u32>>,
    /// Somebody's groups could not be read in full, so that no group is known in full.
    incomplete: bool,
}

impl ByPeople {
    /// Notes the groups of a person; gives a group its members.
    pub(super) fn look_at(&mut self, entry: &Entry, observations: &mut Vec<Observation>) {
        match observations.first_mut() {
            Some(Observation::Person(person, _)) => {
                let (id, dn) = (person.id.clone(), person.dn.clone());
                if let Some(problem) = self.note(entry, dn) {
                    observations.push(Observation::Flawed(Unusable {
                        kind: EntryKind::Person,
                        id: Some(id),
                        dn: entry.dn.clone(),
                        problem,
                        group_ids: Vec::new(),
                    }));
                }
            }
            Some(Observation::Group(group, _)) => {
                let members = self.groups.get(&group.dn).into_iter().flatten();
                let members = members.filter_map(|at| self.people.get(usize::try_from(*at).ok()?));
                group.members.extend(members.map(|dn| Member {
                    role: Role::member(),
                    name: MemberName::Dn(dn.clone()),
                }));
                if self.incomplete {
                    group.evidence.lacks(Reason::ValueNotUnderstood);
                }
            }
            // Which groups this person is in is not known, so no group's list is all of it.
            Some(Observation::Unusable(unusable)) if unusable.kind == EntryKind::Person => {
                self.incomplete = true;
            }
            _ => {}
        }
    }

    fn note(&mut self, entry: &Entry, dn: Dn) -> Option<EntryProblem> {
        let at = u32::try_from(self.people.len()).ok()?;
        self.people.push(dn);
        let mut problem = None;
        for value in entry.values(MEMBER_OF).iter() {
            let group = str::from_utf8(value)
                .ok()
                .and_then(|text| Dn::parse(text).ok());
            match group {
                Some(group) => self.groups.entry(group).or_default().push(at),
                None => {
                    problem = Some(EntryProblem::NotADn {
                        attribute: MEMBER_OF.to_owned(),
                    });
                }
            }
        }
        problem = entry.incomplete(MEMBER_OF).or(problem);
        self.incomplete |= problem.is_some();
        problem
    }
}
