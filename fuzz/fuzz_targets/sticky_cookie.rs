//! Any text as a sticky cookie, and any change to a true one.
#![cfg_attr(feature = "fuzzer", no_main)]

use std::time::{Duration, SystemTime};

use fuzz::arbitrary::{self, Arbitrary};
use lb_core::cookie::CookieSigner;

fuzz::target!(|input: Input| input.run());

#[derive(Arbitrary, Debug)]
struct Input {
    text: String,
    key: [u8; 32],
    scope: String,
    backend: String,
    issued: u32,
    now: u32,
    max_idle: u32,
    max_life: u32,
    /// Which characters of a true cookie become which.
    changes: Vec<(u8, u8)>,
}

impl Input {
    fn run(self) {
        let Ok(signer) = CookieSigner::new(&self.scope, &self.key) else {
            unreachable!("the key is long enough")
        };
        let limited = signer
            .clone()
            .max_idle(Duration::from_secs(self.max_idle.into()))
            .max_life(Duration::from_secs(self.max_life.into()));
        let [issued, now] = [self.issued, self.now].map(at);
        // Not that it is refused: the fuzzer watches comparisons, and so learns true cookies for the
        // very keys that it makes up.
        if limited.verify(now, &self.text).is_ok() {
            assert!(signer.verify(now, &self.text).is_ok(), "limits only refuse");
        }

        let text = signer.issue(issued, &self.backend);
        let Ok(cookie) = signer.verify(issued, &text) else { unreachable!("it was just issued") };
        assert!(cookie.is_for(&self.backend));
        assert_eq!((cookie.issued(), cookie.last_used()), (issued, issued));

        let age = u64::from(self.now).saturating_sub(self.issued.into());
        let ahead = u64::from(self.issued).saturating_sub(self.now.into());
        let fresh = ahead <= 86_400 && age <= self.max_idle.into() && age <= self.max_life.into();
        assert_eq!(limited.verify(now, &text).is_ok(), fresh);

        let mut changed = text.clone().into_bytes();
        for (place, to) in self.changes {
            let place = usize::from(place) % changed.len();
            changed[place] = to;
        }
        if let Ok(changed) = String::from_utf8(changed)
            && changed != text
        {
            assert!(signer.verify(issued, &changed).is_err());
        }
    }
}

fn at(seconds: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into())
}
