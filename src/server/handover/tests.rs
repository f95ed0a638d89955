use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

/// Both processes, what is between them, and who accepts.
#[derive(Debug)]
struct World {
    old: Old,
    new: New,
    old_lives: bool,
    new_lives: bool,
    old_accepts: bool,
    new_accepts: bool,
    /// Whether the new one has the listening sockets.
    new_holds: bool,
    to_old: VecDeque<OldHears>,
    to_new: VecDeque<NewHears>,
    /// Each side's own end of the conversation.
    old_talks: bool,
    new_talks: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    OldReads,
    NewReads,
    WritesEnd,
    Prepare,
    Open,
    /// From here on things that need not happen.
    NewFails,
    OldIsLate,
    OldIsKilled,
    NewIsKilled,
}

impl World {
    fn new() -> Self {
        Self {
            old: Old::Serving,
            new: New::Asking,
            old_lives: true,
            new_lives: true,
            old_accepts: true,
            new_accepts: false,
            new_holds: false,
            to_old: [OldHears::Asked].into(),
            to_new: VecDeque::new(),
            old_talks: true,
            new_talks: true,
        }
    }

    fn possible(&self) -> Vec<Step> {
        let old_waits = self.old_lives && self.old_talks;
        let new_waits = self.new_lives && self.new_talks;
        let old_hears = !(self.to_old.is_empty() && self.new_lives && self.new_talks);
        let new_hears = !(self.to_new.is_empty() && self.old_lives && self.old_talks);
        let steps = [
            (Step::OldReads, old_waits && self.old != Old::Quiet && old_hears),
            (Step::NewReads, new_waits && matches!(self.new, New::Asking | New::Claiming | New::Waiting) && new_hears),
            (Step::WritesEnd, old_waits && self.old == Old::Quiet),
            (Step::Prepare, new_waits && self.new == New::Preparing),
            (Step::Open, new_waits && self.new == New::Opening),
            (Step::NewFails, new_waits && self.new != New::Serving),
            (Step::OldIsLate, old_waits && self.old != Old::Serving),
            (Step::OldIsKilled, self.old_lives && self.new_lives),
            // After the old one is gone it is a death like any other.
            (Step::NewIsKilled, self.new_lives && self.old_lives && self.old != Old::Gone),
        ];
        steps.into_iter().filter(|(_, possible)| *possible).map(|(step, _)| step).collect()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::OldReads => {
                let heard = self.to_old.pop_front().unwrap_or(OldHears::Lost);
                self.old_hears(heard);
            }
            Step::NewReads => {
                let heard = self.to_new.pop_front().unwrap_or(NewHears::Lost);
                self.new_hears(heard);
            }
            Step::WritesEnd => self.old_hears(OldHears::Silence),
            Step::Prepare => self.new_hears(NewHears::Prepared),
            Step::Open => self.new_hears(NewHears::Opened),
            Step::NewFails => self.new_hears(NewHears::Failed),
            Step::OldIsLate => self.old_hears(OldHears::Late),
            Step::OldIsKilled => (self.old_lives, self.old_accepts) = (false, false),
            Step::NewIsKilled => (self.new_lives, self.new_accepts) = (false, false),
        }
    }

    fn old_hears(&mut self, heard: OldHears) {
        let (old, does) = self.old.hear(heard);
        self.old = old;
        match does {
            OldDoes::Offer => self.to_new.push_back(NewHears::Offered),
            OldDoes::QuietWrites => {}
            OldDoes::Yield => {
                self.old_accepts = false;
                self.to_new.push_back(NewHears::Yours);
            }
            OldDoes::SayGo => self.to_new.push_back(NewHears::Go),
            OldDoes::Leave => self.old_talks = false,
            OldDoes::EndThem => {
                (self.new_lives, self.new_accepts) = (false, false);
                self.old_hears(OldHears::Ended);
            }
            OldDoes::Resume => {
                self.to_new.push_back(NewHears::Refused);
                (self.old_talks, self.old_accepts) = (false, true);
            }
        }
    }

    fn new_hears(&mut self, heard: NewHears) {
        let (new, does) = self.new.hear(heard);
        self.new = new;
        match does {
            NewDoes::Prepare => self.new_holds = true,
            NewDoes::Claim => self.to_old.push_back(OldHears::Claimed),
            NewDoes::Open | NewDoes::OpenAlone => {}
            NewDoes::SayReady => self.to_old.push_back(OldHears::Ready),
            NewDoes::Accept => {
                self.new_accepts = true;
                self.to_old.push_back(OldHears::Serving);
            }
            NewDoes::End => (self.new_lives, self.new_talks, self.new_accepts) = (false, false, false),
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert!(!(self.old_accepts && self.new_accepts), "both accept: {:?}", self);
        let old_holds = self.old_lives && self.old != Old::Gone;
        let held = old_holds || (self.new_lives && self.new_holds);
        prop_assert!(held || !self.old_lives, "nobody holds the sockets: {:?}", self);
        prop_assert!(!(self.old_lives && self.old == Old::Serving) || self.old_accepts, "idle: {:?}", self);
        Ok(())
    }
}

proptest! {
    #[test]
    fn at_every_step_one_accepts_or_connections_wait_and_at_the_end_somebody_serves(choices in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut world = World::new();
        for choice in choices {
            let possible = world.possible();
            let Some(step) = possible.get(usize::from(choice) % possible.len().max(1)) else { break };
            world.step(*step);
            world.check()?;
        }
        // From here on nothing goes wrong any more.
        for _ in 0..40 {
            let next = world.possible().into_iter().find(|step| (*step as u8) < Step::NewFails as u8);
            let Some(step) = next else { break };
            world.step(step);
            world.check()?;
        }
        let served = world.old_accepts || world.new_accepts;
        // Whose old server was killed before it had offered anything has a dead server, not a failed handover.
        prop_assert!(served || (!world.old_lives && !world.new_holds) || (!world.old_lives && !world.new_lives), "{:?}", world);
    }
}

#[test]
fn without_trouble_the_new_one_serves_and_the_old_one_is_gone() {
    let mut world = World::new();
    while let Some(step) = world.possible().into_iter().find(|step| (*step as u8) < Step::NewFails as u8) {
        world.step(step);
    }
    assert_eq!((world.old, world.new), (Old::Gone, New::Serving));
    assert!(world.new_accepts && !world.old_accepts);
}
