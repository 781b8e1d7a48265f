//! Files that are handed in, to a sandbox over real HTTP: what becomes of them is told truly, whatever
//! happens on the way.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests fails by panicking, as they do"
)]

mod odd;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use rollbook::kaltura::{
    Credentials, FileKind, FoundJobs, Job, JobId, JobLog, JobStatus, Kaltura, KalturaError,
    Submitted,
};
use rollbook::plan::gate::Fence;
use rollbook::sandbox::{
    Account, BulkFault, JobKind, Look, NewCategory, Options, Sandbox, TransportFault,
};

use super::{config, hurried, submit};

const HEADER: &str = "*action,categoryId,userId\n";
const ADD: &str = "categoryUser.addFromBulkUpload";

/// A sandbox, and a client of it. Nothing is worked on before [`Account::work`].
struct Site {
    sandbox: Sandbox,
    kaltura: Kaltura,
    channel: i64,
}

impl Site {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            partner_id: 103,
            job_delay: None,
            ..Options::default()
        };
        change(&mut options);
        let sandbox = Sandbox::start(options).await.unwrap();
        let channel = sandbox.account().add_category(&NewCategory {
            path: "MediaSpace>a".to_owned(),
            ..NewCategory::default()
        });
        let secret = sandbox.admin_secret().into();
        let config = config(sandbox.url(), "");
        let kaltura = Kaltura::new(&config, Credentials::AdminSecret(secret)).unwrap();
        Self {
            channel,
            kaltura: hurried(kaltura),
            sandbox,
        }
    }

    fn account(&self) -> Account {
        self.sandbox.account()
    }

    /// A file that adds people, named `u0` and so on.
    fn file(&self, people: usize) -> String {
        let rows = (0..people).map(|n| format!("1,{},u{n}\n", self.channel));
        HEADER.to_owned() + &rows.collect::<String>()
    }

    async fn submit(&self, name: &str, content: String) -> Submitted {
        let content = content.into_bytes();
        let kind = FileKind::Entitlements;
        submit(&self.kaltura, kind, name, content).await.unwrap()
    }

    /// Hands in a file of one row.
    async fn accepted(&self, name: &str) -> JobId {
        accepted(self.submit(name, self.file(1)).await).id
    }

    async fn job(&self, id: JobId) -> Job {
        self.kaltura.jobs(&[id]).await.unwrap().remove(0).unwrap()
    }

    async fn log(&self, id: JobId) -> JobLog {
        self.kaltura.job_log(id).await.unwrap()
    }

    async fn find(&self, names: &[&str]) -> FoundJobs {
        self.find_since(names, Timestamp::UNIX_EPOCH).await
    }

    async fn find_since(&self, names: &[&str], since: Timestamp) -> FoundJobs {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let kind = FileKind::Entitlements;
        self.kaltura.find_jobs(kind, since, &names).await.unwrap()
    }

    /// How many files the account has.
    fn files(&self) -> usize {
        self.account().bulk_uploads(&Look::default()).total
    }
}

fn accepted(submitted: Submitted) -> Job {
    match submitted {
        Submitted::Accepted(job) => job,
        other => panic!("{other:?}"),
    }
}

fn ids(jobs: &[Job]) -> Vec<JobId> {
    jobs.iter().map(|job| job.id).collect()
}

#[tokio::test]
async fn a_file_is_handed_in_followed_to_its_end_and_its_log_is_fetched() {
    let site = Site::start().await;
    let content = format!("{}1,{},a b\n", site.file(2), site.channel);
    let new = accepted(site.submit("run-1.csv", content).await);
    assert_eq!((new.status, &new.file_name), (JobStatus::Waiting, &None));
    assert!(!format!("{new:?}").contains("djJ8"));
    assert_eq!(site.log(new.id).await, JobLog::NotReady);

    site.account().work(Some(JobKind::Bulk));
    assert_eq!(site.job(new.id).await.status, JobStatus::Running);
    site.account().work(None);
    let over = site.job(new.id).await;
    assert_eq!(
        over,
        Job {
            id: new.id,
            file_name: Some("run-1.csv".to_owned()),
            status: JobStatus::FinishedPartially,
            rows_done: Some(2),
            message: Some("Finished, but with some errors".to_owned()),
        }
    );
    let JobLog::Text(log) = site.log(new.id).await else {
        panic!("there is no log");
    };
    let log = String::from_utf8(log).unwrap();
    assert_eq!(log.lines().count(), 3);
    assert!(log.contains("\"value in field [userId] is not valid\""));
    assert!(site.account().member(site.channel, "u1").is_some());
}

#[tokio::test]
async fn each_kind_of_file_goes_to_its_own_place() {
    let site = Site::start().await;
    for (kind, content) in [
        (FileKind::Entitlements, site.file(1)),
        (FileKind::Categories, "*name\nb\n".to_owned()),
        (FileKind::Users, "*userId\nada\n".to_owned()),
    ] {
        let submitted = submit(&site.kaltura, kind, "x.csv", content.into_bytes());
        let id = accepted(submitted.await.unwrap()).id;
        site.account().work(None);
        let job = site.job(id).await;
        assert_eq!((job.status, job.rows_done), (JobStatus::Finished, Some(1)));
        let names = BTreeSet::from(["x.csv".to_owned()]);
        let since = Timestamp::UNIX_EPOCH;
        let found = site.kaltura.find_jobs(kind, since, &names).await.unwrap();
        assert_eq!(ids(&found.named["x.csv"]), [id], "and no file of another");
    }
}

#[tokio::test]
async fn a_file_whose_answer_is_lost_is_not_handed_in_again_and_found_by_its_name() {
    let site = Site::start().await;
    site.account()
        .faults()
        .add(format!("{ADD}: cut-after next=1").parse().unwrap());
    let submitted = site.submit("lost.csv", site.file(1)).await;
    assert_eq!((submitted, site.files()), (Submitted::Unknown, 1));

    let before = site.find(&["lost.csv"]).await;
    assert!(before.named.is_empty());
    assert_eq!(before.nameless.len(), 1, "it may be this one");

    site.account().work(None);
    let after = site.find(&["lost.csv"]).await;
    assert_eq!(ids(&after.named["lost.csv"]), ids(&before.nameless));
    assert_eq!(after.nameless, []);
}

#[tokio::test]
async fn a_file_that_never_arrived_is_not_found() {
    let site = Site::start().await;
    let faults = site.account().faults().clone();
    for fault in [
        TransportFault::CutBefore,
        TransportFault::Status(502),
        TransportFault::TimeoutBefore(Duration::from_millis(1)),
    ] {
        faults.break_next(fault, 1);
        assert_eq!(site.submit("a.csv", site.file(1)).await, Submitted::Unknown);
    }
    assert_eq!(site.find(&["a.csv"]).await, FoundJobs::default());
}

#[tokio::test]
async fn an_empty_answer_and_a_breakdown_leave_it_unknown() {
    let site = Site::start().await;
    let faults = site.account().faults().clone();
    faults.break_next(TransportFault::Empty, 1);
    assert_eq!(site.submit("a.csv", site.file(1)).await, Submitted::Unknown);
    faults.fail_next(ADD, 1, "INTERNAL_SERVERL_ERROR");
    assert_eq!(site.submit("b.csv", site.file(1)).await, Submitted::Unknown);
    assert_eq!(site.files(), 1, "nothing is handed in twice");
}

#[tokio::test]
async fn nobody_listens_and_that_is_an_error_because_nothing_was_done() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let config = config(&format!("http://{address}"), "");
    let kaltura = hurried(Kaltura::new(&config, Credentials::AdminSecret("x".into())).unwrap());
    let submitted = submit(&kaltura, FileKind::Users, "a.csv", b"*userId\na\n".to_vec());
    let error = submitted.await.unwrap_err();
    assert!(error.is_passing());
    assert!(
        matches!(&error, KalturaError::NoAnswer { action, attempts: 3, .. }
            if action == "user.addFromBulkUpload"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_is_handed_in_again_where_the_server_did_not_begin() {
    let site = Site::start().await;
    for code in ["ACTION_BLOCKED", "LOCK_TIMED_OUT"] {
        site.account().faults().fail_next(ADD, 1, code);
        site.accepted("a.csv").await;
    }
    assert_eq!(site.files(), 2);
    site.account().faults().fail_next(ADD, 9, "ACTION_BLOCKED");
    let submitted = site.submit("a.csv", site.file(1)).await;
    assert!(matches!(submitted, Submitted::Refused(error) if error.code == "ACTION_BLOCKED"));
}

#[tokio::test]
async fn a_session_that_ends_on_the_way_is_made_anew() {
    let site = Site::start().await;
    let expire = || site.account().expire_sessions();
    site.job(site.accepted("a.csv").await).await;
    expire();
    let id = site.accepted("b.csv").await;
    assert_eq!(site.files(), 2);
    expire();
    assert_eq!(site.job(id).await.status, JobStatus::Waiting);
    expire();
    assert_eq!(site.log(id).await, JobLog::NotReady);
    site.account().work(None);
    expire();
    assert!(matches!(site.log(id).await, JobLog::Text(_)));
    expire();
    assert_eq!(ids(&site.find(&["b.csv"]).await.named["b.csv"]), [id]);
    expire();
    site.kaltura.abort_job(id, &Fence::open()).await.unwrap();
}

#[tokio::test]
async fn reads_are_repeated_until_there_is_an_answer() {
    let site = Site::start().await;
    let id = site.accepted("a.csv").await;
    site.account().work(None);
    let faults = site.account().faults().clone();
    for fault in [
        TransportFault::Status(503),
        TransportFault::CutAfter,
        TransportFault::TimeoutBefore(Duration::from_millis(1)),
    ] {
        faults.break_next(fault, 1);
        assert_eq!(site.job(id).await.status, JobStatus::Finished);
        faults.break_next(fault, 1);
        assert!(matches!(site.log(id).await, JobLog::Text(_)));
        faults.break_next(fault, 1);
        assert_eq!(site.find(&["a.csv"]).await.named.len(), 1);
    }
    faults.fail_next("bulkupload_bulk.serveLog", 1, "INTERNAL_SERVERL_ERROR");
    assert!(matches!(site.log(id).await, JobLog::Text(_)));
    faults.break_next(TransportFault::Status(503), 3);
    let error = site.kaltura.job_log(id).await.unwrap_err();
    insta::assert_snapshot!(error, @"Kaltura gave no usable answer to bulkupload_bulk.serveLog in 3 attempts: HTTP status 503. The next run tries again");
}

#[tokio::test]
async fn a_job_that_fails_is_aborted_or_sticks_is_told_from_one_that_is_done() {
    let site = Site::start().await;
    let mut jobs = Vec::new();
    for fault in [BulkFault::Fail, BulkFault::Abort, BulkFault::Stick] {
        site.account().faults().next_bulk_job(fault);
        jobs.push(site.accepted("a.csv").await);
    }
    let none = format!("{HEADER}1,99999999,ada\n");
    jobs.push(accepted(site.submit("a.csv", none).await).id);
    jobs.push(accepted(site.submit("a.csv", HEADER.to_owned()).await).id);
    site.account().work(None);
    let seen: Vec<JobStatus> = site
        .kaltura
        .jobs(&jobs)
        .await
        .unwrap()
        .into_iter()
        .map(|job| job.unwrap().status)
        .collect();
    assert_eq!(
        seen,
        [
            JobStatus::Failed,
            JobStatus::Aborted,
            JobStatus::Running,
            JobStatus::Failed,
            JobStatus::Finished
        ]
    );
    assert_eq!(site.log(jobs[0]).await, JobLog::NotReady);
    assert!(matches!(site.log(jobs[3]).await, JobLog::Text(_)));
    assert_eq!(site.log(jobs[4]).await, JobLog::NotReady, "no row, no log");
    let found = site.find(&["a.csv"]).await;
    let left = [jobs[4], jobs[3], jobs[2], jobs[0]];
    assert_eq!(
        ids(&found.named["a.csv"]),
        left,
        "what was aborted is hidden"
    );
}

#[tokio::test]
async fn a_job_that_is_not_there_spoils_no_other() {
    let site = Site::start().await;
    let known = site.accepted("a.csv").await;
    let unknown = JobId(99_999_999);
    let jobs = site.kaltura.jobs(&[unknown, known]).await.unwrap();
    let error = jobs[0].as_ref().unwrap_err();
    assert_eq!(
        error.to_string(),
        "BULK_UPLOAD_NOT_FOUND (Bulk upload id \"99999999\" not found)"
    );
    assert_eq!(jobs[1].as_ref().unwrap().id, known);
    assert_eq!(site.log(unknown).await, JobLog::NotReady);
    site.kaltura
        .abort_job(unknown, &Fence::open())
        .await
        .unwrap();
}

#[tokio::test]
async fn many_jobs_are_asked_in_few_requests() {
    let site = Site::start().await;
    let mut jobs = Vec::new();
    for _ in 0..7 {
        jobs.push(site.accepted("a.csv").await);
    }
    let before = site.kaltura.traffic();
    assert_eq!(site.kaltura.jobs(&jobs).await.unwrap().len(), 7);
    let after = site.kaltura.traffic();
    assert_eq!(after.requests - before.requests, 1);
    assert_eq!(after.calls - before.calls, 7);
    assert_eq!(site.kaltura.jobs(&[]).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_name_is_found_on_every_page_and_each_time_it_was_used() {
    let site = Site::start_with(|options| options.limits.max_page_size = 2).await;
    let mut twice = Vec::new();
    for name in [
        "a.csv",
        "x.csv",
        "b.csv",
        "A.csv",
        "y.csv",
        "a.csv.csv",
        "a.csv",
    ] {
        let id = site.accepted(name).await;
        if name == "a.csv" {
            twice.insert(0, id);
        }
    }
    site.account().work(None);
    let hidden = site.accepted("a.csv").await;
    let found = site.find(&["a.csv", "b.csv", "c.csv"]).await;
    assert_eq!(found.named.keys().collect::<Vec<_>>(), ["a.csv", "b.csv"]);
    assert_eq!(ids(&found.named["a.csv"]), twice, "the newest first");
    assert_eq!(ids(&found.nameless), [hidden]);
}

#[tokio::test]
async fn what_was_handed_in_before_is_left_out() {
    let site = Site::start().await;
    let clock = site.account().clock().clone();
    site.accepted("a.csv").await;
    site.account().work(None);
    clock.advance(Duration::from_mins(10));
    let since = Timestamp::from_second(clock.now()).unwrap();
    let new = site.accepted("a.csv").await;
    site.account().work(None);
    let found = site.find_since(&["a.csv"], since).await;
    assert_eq!(ids(&found.named["a.csv"]), [new]);
}

#[tokio::test]
async fn nothing_is_asked_about_no_names() {
    let site = Site::start().await;
    let found = site.find(&[]).await;
    assert_eq!(found, FoundJobs::default());
    assert_eq!(site.kaltura.traffic().requests, 0);
}

#[tokio::test]
async fn a_job_is_stopped_before_it_runs_and_one_that_is_over_stays_as_it_is() {
    let site = Site::start().await;
    let over = site.accepted("a.csv").await;
    site.account().work(None);
    let waiting = accepted(site.submit("b.csv", site.file(3)).await).id;
    for id in [over, waiting] {
        site.kaltura.abort_job(id, &Fence::open()).await.unwrap();
    }
    site.account().work(None);
    assert_eq!(site.job(over).await.status, JobStatus::Finished);
    assert_eq!(site.job(waiting).await.status, JobStatus::Aborted);
    assert!(site.account().member(site.channel, "u2").is_none());
}
