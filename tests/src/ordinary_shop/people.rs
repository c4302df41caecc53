//! The shop's people: known users, anonymous visitors who sign in later, people with two devices, shared tablets.

use rand::Rng as _;
use rand::rngs::StdRng;

/// Devices that several users share; their id says nothing about who a person is.
const SHARED_TABLETS: usize = 20;

/// How a visitor becomes known as a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignIn {
    /// By the rpc LinkVisitor.
    Call,
    /// By an event of kind LINK, sent before the events of its day.
    EventBefore,
    /// By an event of kind LINK, sent after the events of its day, and twice.
    EventAfter,
}

/// One person.
#[derive(Debug, Clone)]
pub struct Person {
    /// Number, from 0.
    pub number: usize,
    /// The user id the person has, or would have once signed in.
    pub user: String,
    /// Own devices on which the person is anonymous until signed in.
    pub visitors: Vec<String>,
    /// A tablet that others use too; empty: none.
    pub tablet: String,
    /// Whether the user id is known from the first day on.
    pub is_user: bool,
    /// Day on which the person's visitors are linked to the user; `None`: never.
    pub signs_in: Option<(u32, SignIn)>,
    /// Whether the visitors are linked by now.
    pub linked: bool,
    /// Index of the kind of item the person likes.
    pub taste: usize,
}

/// Ids of one request or event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ids {
    /// The user; may be empty.
    pub user_id: String,
    /// The visitor; may be empty.
    pub visitor_id: String,
}

impl Ids {
    /// The id that the request or event belongs to: the user's where there is one.
    pub fn owner(&self) -> &str {
        if self.user_id.is_empty() { &self.visitor_id } else { &self.user_id }
    }
}

/// Draws `count` people of a shop that runs for `days` days. A third is anonymous at first.
pub fn people(count: usize, days: u32, random: &mut StdRng) -> Vec<Person> {
    (0..count).map(|number| person(number, days, random)).collect()
}

fn person(number: usize, days: u32, random: &mut StdRng) -> Person {
    let anonymous = number.is_multiple_of(3);
    let third = number / 3;
    let devices = match (anonymous, third % 5) {
        (false, _) => 0,
        (true, 0) => 2,
        (true, _) => 1,
    };
    let by = [SignIn::Call, SignIn::EventBefore, SignIn::Call, SignIn::EventAfter][third % 4];
    let day = 1 + random.random_range(0..days.max(3) - 2);
    Person {
        number,
        user: format!("user-{number}"),
        visitors: (0..devices).map(|device| format!("visitor-{number}-{device}")).collect(),
        tablet: if !anonymous && number % 10 == 1 {
            format!("tablet-{}", number / 10 % SHARED_TABLETS)
        } else {
            String::new()
        },
        // Every second anonymous person also shops as a user elsewhere, and may be in another arm there.
        is_user: !anonymous || third.is_multiple_of(2),
        signs_in: (anonymous && third % 7 != 6).then_some((day, by)),
        linked: false,
        taste: random.random_range(0..12),
    }
}

impl Person {
    /// Ids of a visit: of a linked person those of any device, alone or with the user's.
    pub fn ids(&self, random: &mut StdRng) -> Ids {
        let user = || self.user.clone();
        let Some(visitor) = self.visitors.get(random.random_range(0..self.visitors.len().max(1))).cloned()
        else {
            let visitor_id = if random.random_bool(0.5) { self.tablet.clone() } else { String::new() };
            return Ids { user_id: user(), visitor_id };
        };
        match random.random_range(0..3) {
            0 if self.linked => Ids { user_id: user(), visitor_id: visitor },
            1 if self.linked || self.is_user => Ids { user_id: user(), visitor_id: String::new() },
            _ => Ids { user_id: String::new(), visitor_id: visitor },
        }
    }

    /// All ids that belong to the person by now; the first is the one everything is kept under.
    pub fn known_ids(&self) -> Vec<String> {
        let mut ids = vec![self.user.clone()];
        if self.linked {
            ids.extend(self.visitors.iter().cloned());
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn a_third_is_anonymous_at_first_and_most_of_them_sign_in() {
        let mut random = StdRng::seed_from_u64(5);
        let people = people(3_000, 5, &mut random);
        let count = |is: &dyn Fn(&Person) -> bool| people.iter().filter(|person| is(person)).count();
        assert_eq!(count(&|person| !person.visitors.is_empty()), 1_000);
        assert_eq!(count(&|person| person.visitors.len() == 2), 200);
        assert!(count(&|person| person.signs_in.is_some()) > 800);
        assert_eq!(count(&|person| !person.is_user), 500);
        let anonymous = people.iter().find(|person| !person.is_user).expect("one");
        assert!((0..50).all(|_| anonymous.ids(&mut random).user_id.is_empty()));
    }
}
