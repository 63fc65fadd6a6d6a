//! supd-notify email, with a real mail server (aiosmtpd) and a real sendmail (msmtp) as its other end.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;

use crate::harness::{MailServer, Sandbox, certify, header, state};

const PASSWORD: &str = "s3cret-Passw0rd";

fn crash(serial: u64) -> String {
    let more = r#","from_state":"RUNNING","expected":false,"pid":7,"server":"supervisor","boot":"b""#;
    state(serial, "web", "EXITED", more)
}

/// A sandbox with a password, an authority, and a certificate for this name.
fn sandbox(name: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    certify(&sandbox, name);
    sandbox.write("password", PASSWORD.to_owned() + "\n");
    sandbox
}

/// supd-notify email with what every test here needs.
fn email(sandbox: &Sandbox, smtp: &str, to: &str) -> Command {
    let mut command = sandbox.tool("supd-notify");
    command.args(["-v", "--dead-letter", "dead.ndjson", "--group-interval", "0s", "--rate", "none"]);
    command.args(["email", "--from", "supd <supd@example.org>"]);
    command.args(["--to", to, "--smtp", smtp]);
    command
}

/// As [`email`], with a login and the sandbox's authority.
fn login(sandbox: &Sandbox, smtp: &str, to: &str) -> Command {
    let mut command = email(sandbox, smtp, to);
    command.args(["--user", "supd", "--password-file", "password", "--ca-file", "ca.pem"]);
    command
}

/// The password is in nothing that was written, neither plain nor encoded.
fn assert_secret(sandbox: &Sandbox, stderr: &[u8]) {
    // printf '\0supd\0s3cret-Passw0rd' | base64, and the same without the user.
    let forms = [PASSWORD, "AHN1cGQAczNjcmV0LVBhc3N3MHJk", "czNjcmV0LVBhc3N3MHJk"];
    for text in [String::from_utf8_lossy(stderr).into_owned(), sandbox.read("dead.ndjson")] {
        assert!(!forms.iter().any(|form| text.contains(form)), "{text}");
    }
}

#[test]
fn a_mail_arrives_by_starttls_and_login_with_text_html_and_headers() {
    let sandbox = sandbox("localhost");
    let server = MailServer::start(&sandbox, &["starttls", "auth"]);
    let mut notify = login(&sandbox, &server.address(), "ops@example.org,Dev <dev@example.org>");
    let fatal = state(22, "web", "FATAL", r#","server":"supervisor","boot":"b""#);
    let told = notify.args(["--subject-prefix", "[prod]"]).write_stdin(crash(21) + &fatal).assert().success();
    assert_secret(&sandbox, &told.get_output().stderr);
    told.stderr(
        predicate::str::contains("email: the server answered 250 2.0.0 Ok: queued as 1A2B3C\n").count(2),
    );
    let mails = server.mails();
    let [crash, fatal] = &mails[..] else { panic!("{mails:?}") };
    assert_eq!((&crash["from"], &crash["to"][1]), (&"supd@example.org".into(), &"dev@example.org".into()));
    assert_eq!((&crash["encrypted"], &crash["user"]), (&true.into(), &"supd".into()));
    assert_eq!(crash["defects"], Value::Array(Vec::new()));
    assert_eq!(header(crash, "Subject"), "[prod] web on web1 exited unexpectedly");
    assert_eq!(header(crash, "From"), "supd <supd@example.org>");
    assert_eq!(header(crash, "To"), "ops@example.org, Dev <dev@example.org>");
    assert_eq!(header(crash, "Auto-Submitted"), "auto-generated");
    assert_eq!(header(crash, "X-Supd-Event"), "PROCESS_STATE_EXITED");
    assert_eq!(header(fatal, "Importance"), "high");
    assert_eq!(header(crash, "References"), header(fatal, "References"));
    assert_ne!(header(crash, "Message-ID"), header(fatal, "Message-ID"));
    assert_eq!(
        crash["text"],
        "web on web1 exited unexpectedly\n\nHost:        web1\nProcess:     web\nWas:         RUNNING\nPid:         7\n\
         When:        2026-01-05 08:00:00 UTC\n"
    );
    let html = crash["html"].as_str().unwrap();
    for part in ["border-left:6px solid #d9302c", "<td>RUNNING</td>", ">web on web1 exited unexpectedly</p>"]
    {
        assert!(html.contains(part), "{html}");
    }
}

#[test]
fn a_mail_arrives_by_tls_from_the_beginning_and_unencrypted() {
    for (words, tls) in [(vec!["tls", "auth"], "tls"), (vec!["auth", "login"], "none"), (vec![], "none")] {
        let sandbox = sandbox("localhost");
        let server = MailServer::start(&sandbox, &words);
        let mut notify = if words.is_empty() {
            email(&sandbox, &server.address(), "ops@example.org")
        } else {
            login(&sandbox, &server.address(), "ops@example.org")
        };
        notify.args(["--tls", tls]).write_stdin(crash(1)).assert().success();
        assert_eq!(server.mails()[0]["encrypted"], tls == "tls");
        assert_eq!(server.said().contains("AUTH LOGIN"), words.contains(&"login"), "{}", server.said());
    }
}

#[test]
fn a_mail_that_is_sent_again_has_the_same_id() {
    let sandbox = sandbox("localhost");
    let server = MailServer::start(&sandbox, &[]);
    for _ in 0..2 {
        let mut notify = email(&sandbox, &server.address(), "ops@example.org");
        notify.args(["--tls", "none"]).write_stdin(crash(1)).assert().success();
    }
    let mails = server.mails();
    assert_eq!(header(&mails[0], "Message-ID"), header(&mails[1], "Message-ID"));
}

/// The only dead letter, which is [`crash`]: why it is one.
fn dead_letter(sandbox: &Sandbox) -> String {
    let [dead] = &sandbox.records("dead.ndjson")[..] else { panic!("{}", sandbox.read("dead.ndjson")) };
    let undelivered = &dead["undelivered"];
    assert_eq!((&dead["processname"], &undelivered["target"]), (&"web".into(), &"email".into()));
    undelivered["reason"].as_str().unwrap().to_owned()
}

/// One line, which says why a record became a dead letter.
fn gave_up(reason: &str) -> impl Predicate<str> {
    let line = format!("supd-notify: deliver to email: {reason}; gave up 'web exited unexpectedly");
    predicate::str::starts_with(line).and(predicate::str::contains("\n").count(1))
}

#[test]
fn a_wrong_password_is_said_without_it_and_the_record_is_a_dead_letter() {
    let sandbox = sandbox("localhost");
    let server = MailServer::start(&sandbox, &["starttls", "auth", "parrot"]);
    // The server knows another one, and repeats what it was given.
    sandbox.write("mail/password", "other");
    let mut notify = login(&sandbox, &server.address(), "ops@example.org");
    let told = notify.write_stdin(crash(1)).assert().code(1);
    assert_secret(&sandbox, &told.get_output().stderr);
    let reason = "the server refused the password: 535 5.7.8 wrong credentials: …";
    told.stderr(gave_up(reason));
    assert_eq!((dead_letter(&sandbox).as_str(), server.mails().len()), (reason, 0));
}

/// Tries until the drain timeout; what it says of the first attempt, which has all its time, and the record is in the dead letters.
fn out_of_time(notify: &mut Command, sandbox: &Sandbox) -> String {
    // The options of all channels may follow.
    notify.args(["--drain-timeout", "300ms"]);
    let told = notify.write_stdin(crash(1)).assert().code(1);
    assert_secret(sandbox, &told.get_output().stderr);
    dead_letter(sandbox);
    let stderr = String::from_utf8(told.get_output().stderr.clone()).unwrap();
    let attempt = stderr.lines().find(|line| line.contains("; next attempt in")).expect("it is tried again");
    let (reason, _) = attempt.split_once("; next attempt in").unwrap();
    reason.strip_prefix("supd-notify: deliver to email: ").unwrap().to_owned()
}

#[test]
fn a_certificate_that_nobody_known_issued_keeps_password_and_mail_back() {
    for tls in ["starttls", "tls"] {
        let sandbox = sandbox("localhost");
        let server = MailServer::start(&sandbox, &[tls, "auth"]);
        let mut notify = email(&sandbox, &server.address(), "ops@example.org");
        notify.args(["--tls", tls, "--user", "supd", "--password-file", "password"]);
        assert_eq!(
            out_of_time(&mut notify, &sandbox),
            "the server's certificate is not trusted: nobody known has issued it (--ca-file names a further authority)"
        );
        assert!(!server.said().contains("AUTH") && server.mails().is_empty());
    }
}

#[test]
fn a_certificate_for_another_name_keeps_password_and_mail_back() {
    let sandbox = sandbox("mail.example.org");
    let server = MailServer::start(&sandbox, &["starttls", "auth"]);
    let mut notify = login(&sandbox, &server.address(), "ops@example.org");
    assert_eq!(
        out_of_time(&mut notify, &sandbox),
        "the server's certificate is not trusted: it is not for 'localhost', but for DnsName(\"mail.example.org\")"
    );
    assert!(!server.said().contains("AUTH") && server.mails().is_empty());
}

#[test]
fn a_server_without_starttls_gets_neither_password_nor_mail() {
    let sandbox = sandbox("localhost");
    let server = MailServer::start(&sandbox, &["auth"]);
    let mut notify = login(&sandbox, &server.address(), "ops@example.org");
    let reason = out_of_time(&mut notify, &sandbox);
    assert_eq!(reason, "the server offers no STARTTLS, and nothing is sent unencrypted");
    let said = server.said();
    assert!(said.contains("EHLO") && !said.contains("AUTH") && !said.contains("MAIL"), "{said}");
}

#[test]
fn a_full_mailbox_is_a_dead_letter_and_one_that_is_full_for_now_is_tried_again() {
    let sandbox = sandbox("localhost");
    let server = MailServer::start(&sandbox, &[]);
    for (to, reason) in [
        ("full@example.org", "the server refused <full@example.org>: 552 5.2.2 mailbox full"),
        ("nobody@example.org", "the server refused <nobody@example.org>: 550 5.1.1 no such user"),
        ("quota@example.org", "the server refused the mail: 552 5.2.2 over quota"),
    ] {
        let mut notify = email(&sandbox, &server.address(), to);
        let told = notify.args(["--tls", "none"]).write_stdin(crash(1)).assert().code(1);
        told.stderr(gave_up(reason));
        assert_eq!(dead_letter(&sandbox), reason);
        std::fs::remove_file(sandbox.path("dead.ndjson")).unwrap();
    }
    let mut notify = email(&sandbox, &server.address(), "once@example.org");
    let told = notify.args(["--tls", "none"]).write_stdin(crash(1)).assert().success();
    told.stderr(
        predicate::str::contains(
            "deliver to email: the server refused <once@example.org>: 452 4.2.2 mailbox full, try again later; \
             next attempt in",
        )
        .and(predicate::str::contains("deliver to email: it works again")),
    );
    assert_eq!((sandbox.read("dead.ndjson").as_str(), server.mails().len()), ("", 1));
}

#[test]
fn a_recipient_who_is_refused_keeps_nobody_else_waiting() {
    let sandbox = sandbox("localhost");
    let server = MailServer::start(&sandbox, &[]);
    let to = "later@example.org,ops@example.org,nobody@example.org";
    let told = email(&sandbox, &server.address(), to).args(["--tls", "none"]).write_stdin(crash(1)).assert();
    told.success().stderr(predicate::str::contains(
        "supd-notify: deliver to email: the server refused <later@example.org>: 452 4.2.2 mailbox full, try again \
         later; the server refused <nobody@example.org>: 550 5.1.1 no such user; the others get it\n",
    ));
    assert_eq!(server.mails()[0]["to"], serde_json::json!(["ops@example.org"]));
    // Nobody is left: as long as one of them may get it, it is tried again.
    let mut notify = email(&sandbox, &server.address(), "nobody@example.org,later@example.org");
    let reason = out_of_time(notify.args(["--tls", "none"]), &sandbox);
    assert!(
        reason.contains("550 5.1.1 no such user; the server refused <later@example.org>: 452"),
        "{reason}"
    );
}

#[test]
fn a_server_that_does_not_answer_costs_one_attempt_its_time_and_no_more() {
    let sandbox = sandbox("localhost");
    let server = MailServer::start(&sandbox, &[]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let drip = TcpListener::bind("127.0.0.1:0").unwrap();
    let drip_address = drip.local_addr().unwrap().to_string();
    // Each of its bytes comes in time for the read that waits for it.
    std::thread::spawn(move || {
        for mut client in drip.incoming().flatten() {
            std::thread::spawn(move || {
                while client.write_all(b"2").is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
    });
    for (smtp, to) in [
        (silent.local_addr().unwrap().to_string(), "ops@example.org"),
        (drip_address, "ops@example.org"),
        (server.address(), "slow@example.org"),
    ] {
        let started = Instant::now();
        let mut notify = email(&sandbox, &smtp, to);
        notify.args(["--tls", "none", "--timeout", "500ms"]);
        assert_eq!(out_of_time(&mut notify, &sandbox), "no answer within 500.0ms");
        assert!(started.elapsed() < Duration::from_secs(10), "{smtp}: {:?}", started.elapsed());
        std::fs::remove_file(sandbox.path("dead.ndjson")).unwrap();
    }
}

#[test]
fn a_server_that_is_not_there_or_leaves_is_tried_again() {
    let sandbox = sandbox("localhost");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut notify = email(&sandbox, &closed.to_string(), "ops@example.org");
    let reason = out_of_time(&mut notify, &sandbox);
    assert_eq!(
        reason,
        format!("connect to '127.0.0.1' port {}: Connection refused (os error 111)", closed.port())
    );
    std::fs::remove_file(sandbox.path("dead.ndjson")).unwrap();
    let leaves = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = leaves.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut client in leaves.incoming().flatten() {
            client.write_all(b"220 mail.test\r\n").unwrap();
            let _ = client.read(&mut [0; 100]);
        }
    });
    let mut notify = email(&sandbox, &address, "ops@example.org");
    assert_eq!(out_of_time(&mut notify, &sandbox), "the server ended the connection");
    std::fs::remove_file(sandbox.path("dead.ndjson")).unwrap();
    let mut notify = email(&sandbox, "mail.invalid", "ops@example.org");
    assert!(out_of_time(&mut notify, &sandbox).starts_with("look up 'mail.invalid': "));
}

#[test]
fn what_a_process_is_called_forges_no_header_and_no_element() {
    let sandbox = sandbox("localhost");
    let server = MailServer::start(&sandbox, &[]);
    let names = [
        r"a\r\nBcc: eve@example.com\r\n\r\n<script>x</script>",
        r"a\u2028\u202e\u001b[2J",
        "=?utf-8?q?=0D=0ABcc:_eve=40example.com?=",
        "名前 <b> & é 😀",
        r".\n.\r\n.\r\nRSET",
    ];
    let records: String = names.iter().map(|name| state(1, name, "FATAL", "")).collect();
    let long = state(1, &"x".repeat(3_000), "FATAL", "");
    let mut notify = email(&sandbox, &server.address(), "ops@example.org");
    notify.args(["--tls", "none"]).write_stdin(records + &long).assert().success();
    let mails = server.mails();
    assert_eq!(mails.len(), names.len() + 1);
    for mail in &mails {
        assert_eq!((&mail["defects"], &mail["parts"]), (&Value::Array(Vec::new()), &2.into()));
        let names: Vec<&str> =
            mail["headers"].as_array().unwrap().iter().map(|header| header[0].as_str().unwrap()).collect();
        assert_eq!(names.len(), mails[0]["headers"].as_array().unwrap().len(), "{names:?}");
        assert!(!names.contains(&"Bcc"), "{names:?}");
        let html = mail["html"].as_str().unwrap();
        assert!(!html.contains("<script") && !html.contains("<b>") && !html.contains('\u{202e}'), "{html}");
        assert_eq!(mail["to"], serde_json::json!(["ops@example.org"]));
    }
    let ends = " on web1 could not be started; supervisord gave up";
    let subjects: Vec<&str> =
        mails.iter().map(|mail| header(mail, "Subject").strip_suffix(ends).unwrap()).collect();
    assert_eq!(
        subjects[..5],
        [
            r"a\u000d\nBcc: eve@example.com\u000d\n\u000d\n<script>x</script>",
            r"a\u2028\u202e\u001b[2J",
            "=\u{200b}?utf-8?q?=0D=0ABcc:_eve=40example.com?=",
            "名前 <b> & é 😀",
            r".\n.\u000d\n.\u000d\nRSET",
        ]
    );
    assert!(subjects[5].starts_with("xxx") && subjects[5].len() < 300);
}

#[test]
fn sendmail_is_a_program_that_relays() {
    let sandbox = sandbox("localhost");
    let server = MailServer::start(&sandbox, &["starttls", "auth"]);
    let config = format!(
        "account default\nhost localhost\nport {}\ntls on\ntls_starttls on\ntls_trust_file {}\nauth on\nuser supd\n\
         passwordeval cat {}\n",
        server.port(),
        sandbox.path("ca.pem").display(),
        sandbox.path("password").display()
    );
    let config = sandbox.write("msmtprc", config);
    std::fs::set_permissions(config, std::fs::Permissions::from_mode(0o600)).unwrap();
    let program = sandbox.write("sendmail", "#!/bin/sh\nexec msmtp -C msmtprc \"$@\"\n");
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let notify = |to: &str| {
        let mut command = sandbox.tool("supd-notify");
        command.args(["-v", "--dead-letter", "dead.ndjson", "email", "--sendmail", "./sendmail"]);
        command.args(["--from", "supd@example.org", "--to", to]);
        command
    };
    let told = notify("ops@example.org").write_stdin(crash(1)).assert().success();
    told.stderr(predicate::str::contains("email: './sendmail' ended with status 0\n"));
    let mails = server.mails();
    assert_eq!((&mails[0]["user"], &mails[0]["from"]), (&"supd".into(), &"supd@example.org".into()));
    assert_eq!(header(&mails[0], "Subject"), "web on web1 exited unexpectedly");
    assert_eq!(mails[0]["parts"], 2);

    // EX_UNAVAILABLE may get better.
    let reason = out_of_time(&mut notify("later@example.org"), &sandbox);
    let because =
        "452 4.2.2 mailbox full, try again later; msmtp: could not send mail (account default from msmtprc)";
    assert!(
        reason.starts_with("'./sendmail' ended with status 69: ") && reason.ends_with(because),
        "{reason}"
    );
    std::fs::remove_file(sandbox.path("dead.ndjson")).unwrap();

    // EX_NOPERM will not.
    sandbox.write("mail/password", "other");
    let told = notify("ops@example.org").write_stdin(crash(1)).assert().code(1);
    assert_secret(&sandbox, &told.get_output().stderr);
    told.stderr(gave_up(
        "'./sendmail' ended with status 77: msmtp: authentication failed (method PLAIN); msmtp: server message: 535 5.7.8 \
         wrong credentials; msmtp: could not send mail (account default from msmtprc)",
    ));
    assert!(dead_letter(&sandbox).starts_with("'./sendmail' ended with status 77: "));
}

#[test]
fn a_dry_run_prints_the_mail_and_needs_no_server() {
    let sandbox = Sandbox::new();
    let mut notify = sandbox.tool("supd-notify");
    notify.args(["--dry-run", "email", "--from", "supd@example.org", "--to", "ops@example.org"]);
    let printed = notify.write_stdin(crash(1)).assert().success();
    printed.stdout(
        predicate::str::contains("\nSubject: web on web1 exited unexpectedly\n")
            .and(predicate::str::contains("\nProcess:     web\n"))
            .and(predicate::str::contains("\r").not()),
    );
}

#[test]
fn what_would_give_the_password_away_or_cannot_work_is_wrong_usage() {
    let sandbox = sandbox("localhost");
    let cases: [(&[&str], &str); 6] = [
        (&["--smtp", "mail.example.org", "--tls", "none", "--user", "supd"], "could be read on the way"),
        (&["--smtp", "mail.example.org:smtp"], "'smtp' is no port"),
        (&["--smtp", "smtp://mail.example.org"], "the name of a host, not a URL"),
        (&["--smtp", "mail.example.org", "--sendmail", "x"], "cannot be used with"),
        (&[], "--smtp HOST or --sendmail PROGRAM"),
        (&["--smtp", "mail.example.org", "--to", "ops@example.org; b@example.org"], "no address such as"),
    ];
    for (more, said) in cases {
        let mut notify = sandbox.tool("supd-notify");
        notify.args(["email", "--from", "a@example.org", "--to", "b@example.org"]).args(more);
        let told = notify.env("SUPD_SMTP_PASSWORD", PASSWORD).write_stdin("").assert().code(2);
        assert_secret(&sandbox, &told.get_output().stderr);
        told.stderr(predicate::str::contains(said));
    }
}
