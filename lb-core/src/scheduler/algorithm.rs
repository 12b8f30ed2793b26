//! The schedulers by their names.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{
    Bounded, Cost, Failover, First, GcdWeighted, Ketama, LeastLoad, LeastTime, LoadFactor,
    LocalityBased, LocalityReplicated, Maglev, Overflow, PeakEwma, PowerOfTwo, Random, Rendezvous,
    Ring, RoundRobin, Scheduler, SmoothWeighted,
};

/// The schedulers by the names that LVS, HAProxy, nginx and Envoy gave them.
///
/// | | a pick, over n backends | whose semantics |
/// |---|---|---|
/// | `rr`, `wrr`, `wrr-ipvs` | O(1), one atomic exchange | IPVS `ip_vs_rr.c`; nginx `ngx_http_upstream_round_robin.c`; IPVS `ip_vs_wrr.c` |
/// | `random`, `p2c`, `peak_ewma` | O(1) | Walker and Vose; Mitzenmacher 2001; Finagle |
/// | `lc`, `wlc`, `sed`, `nq` | O(n), O(1) where most are idle | IPVS `ip_vs_lc.c`, `ip_vs_wlc.c`, `ip_vs_sed.c`, `ip_vs_nq.c` |
/// | `least_time` | O(n) | nginx `ngx_http_upstream_least_time_module.c` |
/// | `fo`, `first`, `ovf` | O(n), O(1) where the first will do | IPVS `ip_vs_fo.c`; HAProxy `balance first`; IPVS `ip_vs_ovf.c` |
/// | `sh`, `dh`, `ring`, `ketama` | O(log n), in practice constant | Karger et al. 1997; nginx `ngx_http_upstream_hash_module.c` |
/// | `mh` | O(1) | Eisenbud et al. 2016, section 3.4 |
/// | `rendezvous` | O(n) | Thaler and Ravishankar 1998 |
/// | `lblc`, `lblcr` | O(1) for a destination whose server has no more flows than weight, else as `wlc` | IPVS `ip_vs_lblc.c`, `ip_vs_lblcr.c` |
///
/// None allocates, and none takes a lock. What each does differently is said with its type.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Algorithm {
    /// `dh`: by the hash of the destination, which the embedder passes, consistently. See [`Ring`].
    Dh,
    /// `first`: the first in the list that may take the flow. See [`First`].
    First,
    /// `fo`: the heaviest backend as long as it lives, then the next. See [`Failover`].
    Fo,
    /// `ketama`: by hash, to whom nginx' `hash … consistent` sends it. See [`Ketama`].
    Ketama,
    /// `lblc`: the server that the destination had, else as `wlc`. See [`LocalityBased`].
    Lblc,
    /// `lblcr`: one of the servers that the destination had, else as `wlc`. See [`LocalityReplicated`].
    Lblcr,
    /// `lc`: fewest active flows. See [`Cost::LeastConnections`].
    Lc,
    /// `least_time`: who would be done first. See [`LeastTime`].
    LeastTime,
    /// `mh`: by hash, on Maglev's table. See [`Maglev`].
    Mh,
    /// `nq`: an idle backend at once, else as `sed`. See [`Cost::NeverQueue`].
    Nq,
    /// `ovf`: the heaviest backend until it has its weight in flows, then the next. See [`Overflow`].
    Ovf,
    /// `p2c`: the less loaded of two drawn by weight. See [`PowerOfTwo`].
    P2c,
    /// `peak_ewma`: the faster of two drawn by weight. See [`PeakEwma`].
    PeakEwma,
    /// `random`: drawn by weight. See [`Random`].
    Random,
    /// `rendezvous`: by hash, to the highest bidder. See [`Rendezvous`].
    Rendezvous,
    /// `ring`: by hash, on a consistent-hashing ring. See [`Ring`].
    Ring,
    /// `rr`: one after the other, whatever the weight. See [`RoundRobin`].
    Rr,
    /// `sed`: shortest expected delay. See [`Cost::ShortestExpectedDelay`].
    Sed,
    /// `sh`: by the hash of the source, the client, consistently. See [`Ring`].
    Sh,
    /// `wlc`: fewest active flows per weight. See [`Cost::WeightedLeastConnections`].
    Wlc,
    /// `wrr`: by weight, smoothly interleaved. See [`SmoothWeighted`].
    Wrr,
    /// `wrr-ipvs`: by weight, in the order of IPVS, the heavy ones in a row. See [`GcdWeighted`].
    WrrIpvs,
}

impl Algorithm {
    /// Every algorithm, in the order of their names.
    pub const ALL: [Self; 22] = [
        Self::Dh,
        Self::First,
        Self::Fo,
        Self::Ketama,
        Self::Lblc,
        Self::Lblcr,
        Self::Lc,
        Self::LeastTime,
        Self::Mh,
        Self::Nq,
        Self::Ovf,
        Self::P2c,
        Self::PeakEwma,
        Self::Random,
        Self::Rendezvous,
        Self::Ring,
        Self::Rr,
        Self::Sed,
        Self::Sh,
        Self::Wlc,
        Self::Wrr,
        Self::WrrIpvs,
    ];

    /// The name in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dh => "dh",
            Self::First => "first",
            Self::Fo => "fo",
            Self::Ketama => "ketama",
            Self::Lblc => "lblc",
            Self::Lblcr => "lblcr",
            Self::Lc => "lc",
            Self::LeastTime => "least_time",
            Self::Mh => "mh",
            Self::Nq => "nq",
            Self::Ovf => "ovf",
            Self::P2c => "p2c",
            Self::PeakEwma => "peak_ewma",
            Self::Random => "random",
            Self::Rendezvous => "rendezvous",
            Self::Ring => "ring",
            Self::Rr => "rr",
            Self::Sed => "sed",
            Self::Sh => "sh",
            Self::Wlc => "wlc",
            Self::Wrr => "wrr",
            Self::WrrIpvs => "wrr-ipvs",
        }
    }

    /// The scheduler, over no members yet. A rotation starts where the generator of the first pick
    /// says, so that the instances of a fleet do not all begin with the same backend.
    pub fn scheduler(self) -> Arc<dyn Scheduler> {
        match self {
            Self::Rr => Arc::new(RoundRobin::starting_anywhere()),
            Self::Wrr => Arc::new(SmoothWeighted::starting_anywhere()),
            Self::WrrIpvs => Arc::new(GcdWeighted::starting_anywhere()),
            _ => self.scheduler_at(0),
        }
    }

    /// The scheduler with its rotation starting `phase` turns behind the first: where it is known
    /// beforehand who comes when, as in a test, or each instance of a fleet has a phase of its own (for
    /// `wrr-ipvs`, one that differs in [both halves](GcdWeighted::starting_at)).
    pub fn scheduler_at(self, phase: u64) -> Arc<dyn Scheduler> {
        match self {
            Self::Dh | Self::Ring | Self::Sh => Arc::new(Ring::new()),
            Self::First => Arc::new(First::new()),
            Self::Fo => Arc::new(Failover::new()),
            Self::Ketama => Arc::new(Ketama::new()),
            Self::Lblc => Arc::new(LocalityBased::new()),
            Self::Lblcr => Arc::new(LocalityReplicated::new()),
            Self::Lc => Arc::new(LeastLoad::by(Cost::LeastConnections)),
            Self::LeastTime => Arc::new(LeastTime::new()),
            Self::Mh => Arc::new(Maglev::new()),
            Self::Nq => Arc::new(LeastLoad::by(Cost::NeverQueue)),
            Self::Ovf => Arc::new(Overflow::new()),
            Self::P2c => Arc::new(PowerOfTwo::new()),
            Self::PeakEwma => Arc::new(PeakEwma::new()),
            Self::Random => Arc::new(Random::new()),
            Self::Rendezvous => Arc::new(Rendezvous::new()),
            Self::Rr => Arc::new(RoundRobin::starting_at(phase)),
            Self::Sed => Arc::new(LeastLoad::by(Cost::ShortestExpectedDelay)),
            Self::Wlc => Arc::new(LeastLoad::by(Cost::WeightedLeastConnections)),
            Self::Wrr => Arc::new(SmoothWeighted::starting_at(phase)),
            Self::WrrIpvs => Arc::new(GcdWeighted::starting_at(phase)),
        }
    }

    /// The scheduler with no backend loaded above `factor` times its share: `None` for those that
    /// do not choose by hash. See [`Bounded`].
    pub fn bounded(self, factor: LoadFactor) -> Option<Arc<dyn Scheduler>> {
        Some(match self {
            Self::Dh | Self::Ring | Self::Sh => Arc::new(Bounded::new(Ring::new(), factor)),
            Self::Ketama => Arc::new(Bounded::new(Ketama::new(), factor)),
            Self::Mh => Arc::new(Bounded::new(Maglev::new(), factor)),
            Self::Rendezvous => Arc::new(Bounded::new(Rendezvous::new(), factor)),
            _ => return None,
        })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no scheduler of this name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "no scheduler is called `{name}`; there are dh, first, fo, ketama, lblc, lblcr, lc, least_time, \
     mh, nq, ovf, p2c, peak_ewma, random, rendezvous, ring, rr, sed, sh, wlc, wrr, wrr-ipvs"
)]
pub struct UnknownAlgorithm {
    /// The name that was asked for.
    pub name: String,
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| UnknownAlgorithm { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
    }

    #[test]
    fn names_are_listed_in_order() {
        let names = Algorithm::ALL.map(Algorithm::name);
        assert!(names.is_sorted());
        let refusal = "none".parse::<Algorithm>().unwrap_err().to_string();
        assert!(refusal.ends_with(&format!("there are {}", names.join(", "))), "{refusal}");
    }
}
