//! What may happen, one thing at a time.

use proptest::prelude::*;

use super::directory::{NAMES, PEOPLE};
use super::meanwhile::{Meanwhile, What};

/// One thing that happens. Numbers are of people, groups, channels; those that mean nothing are skipped.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Join(usize, usize),
    Leave(usize, usize),
    Owner(usize, usize, bool),
    Nest(usize, usize, bool),
    Stranger(usize, bool),
    Rename(usize),
    Login(usize, Login),
    Enable(usize, bool),
    Person(usize, bool),
    Group(usize, bool),
    RenameGroup(usize, usize),
    BreakPerson(usize, bool),
    BreakGroup(usize, u8),
    Refill(usize, u16),

    Put(usize, usize, i64, i64, i64),
    Drop(usize, usize),
    Twin(usize, usize, i64, i64),
    Owned(usize, usize),
    RenameUser(usize, usize),
    DeleteUser(usize),
    DeleteChannel(usize),
    AddChannel(usize),
    Inherit(usize),
    Lag(bool),
    /// The category above the channels has another name for a time.
    Root(bool),

    Run(Run),
    /// A dry run, and then the same in earnest.
    DryAndWet(bool),
    Approve(usize, bool),
    Reject(usize, bool),
    Retry,
    /// The run that is so many back, by call or by file.
    Undo(usize, bool),
    /// What lies in the folder is looked at, or given up.
    Settle(bool),
    Hour,
    /// The clock is set on, or back.
    Clock(bool),
    Configure(Setting),
    /// A backup of the state file is made.
    BackUp,
    /// The last backup is put in the place of the state file; poured into it, or as a new file.
    PutBack(bool),
    /// What a dry run says is saved; of everything, or of what has changed.
    Save(bool),
    /// A saved plan is applied, the whole of it or a part.
    Apply(usize, Cut),
}

/// What is applied of a saved plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Whole,
    FirstChannel,
    FirstChange,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    Fresh,
    Uppercase,
    /// Two people exchange theirs.
    Swap(usize),
    /// Two people have one.
    Share(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) kind: Kind,
    pub(super) export: Export,
    pub(super) faults: Vec<String>,
    pub(super) way: Way,
    /// What goes wrong with a file in Kaltura, as a line.
    pub(super) bulk_fault: Option<String>,
    pub(super) meanwhile: Option<Meanwhile>,
}

/// By which way the changes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Calls,
    Files,
    Either,
    /// Into a folder, where somebody finds them.
    Folder(Hands),
}

/// What somebody does with the files in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hands {
    /// Nothing yet.
    Wait,
    /// Gives them up.
    Discard,
    /// Uploads them, and has them settled.
    Upload(Proof),
}

/// By what it is found out what became of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// By the jobs that bear their names.
    Jobs,
    /// By logs that somebody brings.
    Log,
    /// By what is there.
    Look,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Incremental,
    Full,
    User(usize),
    Group(usize),
}

/// What the export of the directory is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Export {
    Whole,
    /// So many thousandths of it.
    Cut(u32),
    Empty,
    /// All of it, without its end.
    Endless,
    /// This person was renamed while it was written: the people before, the groups after.
    Torn(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Departure(bool),
    Manual(bool),
    Ownership(bool),
    Loose(bool),
    Window(bool),
    FirstRun(bool),
    RemovedByHand(bool),
    VanishedGroup(bool),
}

/// Faults of a run, as lines.
const FAULTS: [&str; 23] = [
    "categoryUser.add: error=LOCK_TIMED_OUT next=1",
    "categoryUser.delete: error=LOCK_TIMED_OUT next=2",
    "categoryUser.update: error=INTERNAL_SERVERL_ERROR next=1",
    "categoryUser.*: error=ACTION_BLOCKED next=1",
    "categoryUser.add: error=INVALID_USER_ID next=1",
    "categoryUser.delete: error=CANNOT_UPDATE_CATEGORY_USER next=1",
    "categoryUser.get: error=INTERNAL_DATABASE_ERROR next=1",
    "categoryUser.get: error=SERVICE_FORBIDDEN next=1",
    "categoryUser.list: error=SEARCH_ENGINE_QUERY_FAILED next=2",
    "categoryUser.*: error=INTERNAL_SERVERL_ERROR rate=30%",
    "categoryUser.*: cut-before next=1",
    "categoryUser.*: cut-after next=1",
    "cut-after rate=20%",
    "empty rate=20%",
    "multirequest: short-answers keep=1 next=2",
    "categoryUser.list: short-pages lose=1 next=1",
    "category.list: short-pages lose=1 next=1",
    "expire-session after=2 calls",
    "categoryUser.addFromBulkUpload: error=LOCK_TIMED_OUT next=1",
    "categoryUser.addFromBulkUpload: cut-before next=1",
    "categoryUser.addFromBulkUpload: cut-after next=1",
    "bulkupload_bulk.*: error=INTERNAL_DATABASE_ERROR rate=50%",
    "bulkupload_bulk.*: error=SERVICE_FORBIDDEN rate=50%",
];

/// What may go wrong with a file. One that sticks waits for a day, and is tested elsewhere.
const BULK_FAULTS: [&str; 6] = [
    "fail",
    "abort",
    "log-lacks rows=1",
    "log-lacks rows=2",
    "log-adds-cell",
    "log-repeats",
];

fn person() -> impl Strategy<Value = usize> {
    0..PEOPLE
}

fn group() -> impl Strategy<Value = usize> {
    0..NAMES.len()
}

/// One of the four names that lead to channels of their own.
fn channel() -> impl Strategy<Value = usize> {
    0..4usize
}

fn export() -> impl Strategy<Value = Export> {
    prop_oneof![
        20 => Just(Export::Whole),
        3 => (0..1000u32).prop_map(Export::Cut),
        1 => Just(Export::Empty),
        1 => Just(Export::Endless),
        1 => person().prop_map(Export::Torn),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => Just(Kind::Incremental),
        4 => Just(Kind::Full),
        1 => person().prop_map(Kind::User),
        1 => group().prop_map(Kind::Group),
    ]
}

fn faults() -> impl Strategy<Value = Vec<String>> {
    let one = (0..FAULTS.len()).prop_map(|n| FAULTS[n].to_owned());
    prop_oneof![
        3 => Just(Vec::new()),
        1 => proptest::collection::vec(one, 1..3),
    ]
}

fn way() -> impl Strategy<Value = Way> {
    let hands = prop_oneof![
        2 => Just(Hands::Wait),
        1 => Just(Hands::Discard),
        2 => Just(Hands::Upload(Proof::Jobs)),
        1 => Just(Hands::Upload(Proof::Log)),
        1 => Just(Hands::Upload(Proof::Look)),
    ];
    prop_oneof![
        8 => Just(Way::Calls),
        4 => Just(Way::Files),
        1 => Just(Way::Either),
        3 => hands.prop_map(Way::Folder),
    ]
}

fn bulk_fault() -> impl Strategy<Value = Option<String>> {
    let line = |n: usize| {
        let fault = BULK_FAULTS[n];
        format!("categoryUser.addFromBulkUpload: bulk-job={fault} next=1")
    };
    prop_oneof![
        2 => Just(None),
        1 => (0..BULK_FAULTS.len()).prop_map(move |n| Some(line(n))),
    ]
}

fn meanwhile() -> impl Strategy<Value = Option<Meanwhile>> {
    let by_hand =
        (channel(), person(), 0..4i64).prop_map(|(channel, person, level)| What::ByHand {
            channel,
            person,
            level,
        });
    let what = prop_oneof![1 => Just(What::Kill), 1 => by_hand];
    let one = (1..12u64, what).prop_map(|(after, what)| Some(Meanwhile { after, what }));
    prop_oneof![4 => Just(None), 1 => one]
}

fn run() -> impl Strategy<Value = Run> {
    (kind(), export(), faults(), way(), bulk_fault(), meanwhile()).prop_map(
        |(kind, export, faults, way, bulk_fault, meanwhile)| Run {
            kind,
            export,
            faults,
            way,
            bulk_fault,
            meanwhile,
        },
    )
}

fn login() -> impl Strategy<Value = Login> {
    prop_oneof![
        Just(Login::Fresh),
        Just(Login::Uppercase),
        person().prop_map(Login::Swap),
        person().prop_map(Login::Share),
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    any::<bool>().prop_flat_map(|yes| {
        prop_oneof![
            Just(Setting::Departure(yes)),
            Just(Setting::Manual(yes)),
            Just(Setting::Ownership(yes)),
            Just(Setting::Loose(yes)),
            Just(Setting::Window(yes)),
            Just(Setting::FirstRun(yes)),
            Just(Setting::RemovedByHand(yes)),
            Just(Setting::VanishedGroup(yes)),
        ]
    })
}

fn in_the_directory() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (group(), person()).prop_map(|(g, p)| Step::Join(g, p)),
        8 => (group(), person()).prop_map(|(g, p)| Step::Leave(g, p)),
        3 => (group(), person(), any::<bool>()).prop_map(|(g, p, yes)| Step::Owner(g, p, yes)),
        2 => (group(), group(), any::<bool>()).prop_map(|(g, h, yes)| Step::Nest(g, h, yes)),
        1 => (group(), any::<bool>()).prop_map(|(g, yes)| Step::Stranger(g, yes)),
        2 => person().prop_map(Step::Rename),
        2 => (person(), login()).prop_map(|(p, login)| Step::Login(p, login)),
        2 => (person(), any::<bool>()).prop_map(|(p, yes)| Step::Enable(p, yes)),
        2 => (person(), any::<bool>()).prop_map(|(p, yes)| Step::Person(p, yes)),
        2 => (group(), any::<bool>()).prop_map(|(g, yes)| Step::Group(g, yes)),
        1 => (group(), group()).prop_map(|(g, n)| Step::RenameGroup(g, n)),
        1 => (person(), any::<bool>()).prop_map(|(p, yes)| Step::BreakPerson(p, yes)),
        1 => (group(), 0..3u8).prop_map(|(g, how)| Step::BreakGroup(g, how)),
        3 => (group(), any::<u16>()).prop_map(|(g, bits)| Step::Refill(g, bits)),
    ]
}

fn in_kaltura() -> impl Strategy<Value = Step> {
    let cells = (0..5i64, 0..2i64, 1..4i64);
    prop_oneof![
        6 => (channel(), person(), cells).prop_map(|(c, p, (l, m, s))| Step::Put(c, p, l, m, s)),
        3 => (channel(), person()).prop_map(|(c, p)| Step::Drop(c, p)),
        1 => (channel(), person(), 0..4i64, 0..2i64).prop_map(|(c, p, l, m)| Step::Twin(c, p, l, m)),
        1 => (channel(), person()).prop_map(|(c, p)| Step::Owned(c, p)),
        1 => (person(), person()).prop_map(|(p, q)| Step::RenameUser(p, q)),
        1 => person().prop_map(Step::DeleteUser),
        1 => channel().prop_map(Step::DeleteChannel),
        2 => channel().prop_map(Step::AddChannel),
        1 => channel().prop_map(Step::Inherit),
        1 => any::<bool>().prop_map(Step::Lag),
        1 => any::<bool>().prop_map(Step::Root),
    ]
}

impl Run {
    /// A run of nothing special.
    pub(super) fn plain(kind: Kind) -> Self {
        Self {
            kind,
            export: Export::Whole,
            faults: Vec::new(),
            way: Way::Calls,
            bulk_fault: None,
            meanwhile: None,
        }
    }
}

fn cut() -> impl Strategy<Value = Cut> {
    prop_oneof![
        Just(Cut::Whole),
        Just(Cut::FirstChannel),
        Just(Cut::FirstChange),
    ]
}

/// Any one step.
pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        9 => in_the_directory(),
        4 => in_kaltura(),
        8 => run().prop_map(Step::Run),
        1 => any::<bool>().prop_map(Step::DryAndWet),
        3 => (0..3usize, any::<bool>()).prop_map(|(n, all)| Step::Approve(n, all)),
        1 => (0..3usize, any::<bool>()).prop_map(|(n, all)| Step::Reject(n, all)),
        1 => Just(Step::Retry),
        1 => (0..4usize, any::<bool>()).prop_map(|(n, by_file)| Step::Undo(n, by_file)),
        1 => any::<bool>().prop_map(Step::Settle),
        1 => Just(Step::Hour),
        1 => any::<bool>().prop_map(Step::Clock),
        1 => setting().prop_map(Step::Configure),
        1 => Just(Step::BackUp),
        1 => any::<bool>().prop_map(Step::PutBack),
        1 => any::<bool>().prop_map(Step::Save),
        2 => (0..3usize, cut()).prop_map(|(n, cut)| Step::Apply(n, cut)),
    ]
}
