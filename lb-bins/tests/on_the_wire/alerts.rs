//! Mail about virtual routers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::daemon::run_ours;
use crate::lab::{Host, Lab, is_possible};

/// Takes a mail; its text.
fn take(stream: &TcpStream) -> std::io::Result<String> {
    let say = |line: &str| (&*stream).write_all(format!("{line}\r\n").as_bytes());
    let mut lines = BufReader::new(stream).lines();
    let mut text = String::new();
    say("220 here")?;
    while let Some(line) = lines.next().transpose()? {
        match line.get(..4) {
            Some("DATA") => {
                say("354 go on")?;
                for line in lines.by_ref() {
                    let line = line?;
                    if line == "." {
                        break;
                    }
                    text += &(line + "\n");
                }
                say("250 taken")?;
            }
            Some("QUIT") => break,
            _ => say("250 well")?,
        }
    }
    say("221 bye")?;
    Ok(text)
}

#[test]
#[ignore = "needs root"]
fn transitions_go_by_mail_where_that_is_wanted() {
    if !is_possible() {
        return;
    }
    let lab = Lab::new();
    let letters = Arc::<Mutex<Vec<String>>>::default();
    let taken = Arc::clone(&letters);
    let listener = Lab::inside(&lab.client(), || TcpListener::bind("10.99.0.3:25").unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Ok(letter) = take(&stream) {
                taken.lock().unwrap().push(letter);
            }
        }
    });
    let instance = |name: &str, id: u8, more: &str| {
        format!(
            "[[vrrp_instance]]\nname = \"{name}\"\ninterface = \"eth0\"\nvirtual_router_id = {id}\n\
             advert_interval = \"100ms\"\naddresses = [\"10.99.0.{}\"]\n{more}\n",
            200 + id
        )
    };
    let faulty = |name: &str, id: u8, more: &str| {
        let more = format!("smtp_alert = true\ntrack_interfaces = [\"gone0\"]\n{more}");
        instance(name, id, &more)
    };
    let config = format!(
        "smtp = {{ server = \"10.99.0.3:25\", from = \"vip@example.org\", to = [\"ops@example.org\"] }}\n\
         {}{}[[vrrp_sync_group]]\nname = \"both\"\nmembers = [\"quiet\"]\nsmtp_alert = true\n",
        instance("loud", 1, "smtp_alert = true"),
        instance("quiet", 2, "")
            + &faulty("faulty", 3, "")
            + &faulty("tired", 4, "smtp_alert_faults = false\n"),
    );
    let daemon = run_ours(&lab, Host::A, &config);
    let all = || letters.lock().unwrap().concat();
    lab.until(Duration::from_secs(10), "a mail", || all().contains("INSTANCE loud is MASTER"));
    let said = all();
    let place = |what: &str| said.find(what).unwrap_or_else(|| panic!("no {what} in {said}"));
    assert!(place("INSTANCE loud is BACKUP") < place("INSTANCE loud is MASTER with priority 100"));
    assert!(place("GROUP both is MASTER") > 0);
    assert!(!said.contains("quiet"), "{said}");
    lab.until(Duration::from_secs(10), "a mail", || all().contains("INSTANCE faulty is FAULT"));
    daemon.tell_to_stop();
    daemon.wait();
    let said = all();
    assert!(said.contains("INSTANCE loud is STOP"), "the last word is waited for: {said}");
    // What comes after proves that nothing of it was on its way.
    assert!(said.contains("INSTANCE tired is STOP") && !said.contains("tired is FAULT"), "{said}");
}
