//! What long-running subcommands let others see: `--observe` and `--metrics`.

use std::net::{Ipv4Addr, SocketAddr};

use ringfence::observe::{ObserveError, ObserveOptions, Observer};
use ringfence::runtime::Runtime;

use crate::common;

/// Options of subcommands that run for long.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Observing {
    /// Let `ringfence top` of the same user look at this run.
    #[arg(long, global = true)]
    pub observe: bool,
    /// Serve the counters as OpenMetrics text at http://ADDR/metrics; ADDR is a port of 127.0.0.1 (0: any that is
    /// free), or an address and a port.
    #[arg(long, global = true, value_name = "ADDR", value_parser = address)]
    pub metrics: Option<SocketAddr>,
}

impl Observing {
    /// Offers what was asked for, until the observer is dropped; `program` is what this run is called.
    ///
    /// # Errors
    /// As [`Runtime::observe`].
    pub fn attach(&self, runtime: &Runtime, program: &str) -> Result<Option<Observer>, ObserveError> {
        if !self.observe && self.metrics.is_none() {
            return Ok(None);
        }
        let program = format!("ringfence {program}");
        let options = ObserveOptions { socket: self.observe, metrics: self.metrics, program };
        let observer = runtime.observe(&options)?;
        if self.metrics.is_some_and(|asked| asked.port() == 0)
            && let Some(address) = observer.metrics()
        {
            common::notice(format_args!("metrics are at http://{address}/metrics"));
        }
        Ok(Some(observer))
    }
}

/// A bare port is one of this machine's own; whoever wants more has to say it in full.
fn address(text: &str) -> Result<SocketAddr, String> {
    match (text.parse::<u16>(), text.parse::<SocketAddr>()) {
        (Ok(port), _) if !text.starts_with('+') => Ok((Ipv4Addr::LOCALHOST, port).into()),
        (_, Ok(address)) => Ok(address),
        _ => {
            Err("it takes a port, or a numeric address and a port, such as 127.0.0.1:9000 or [::1]:9000"
                .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_local_unless_spelled_out() {
        let cases = [
            ("9000", Some("127.0.0.1:9000")),
            ("0", Some("127.0.0.1:0")),
            ("65535", Some("127.0.0.1:65535")),
            ("127.0.0.1:80", Some("127.0.0.1:80")),
            ("0.0.0.0:9000", Some("0.0.0.0:9000")),
            ("[::1]:9000", Some("[::1]:9000")),
            ("65536", None),
            ("+80", None),
            ("-1", None),
            ("", None),
            (":9000", None),
            ("*:9000", None),
            ("localhost:9000", None),
            ("0.0.0.0", None),
            ("::1:9000", None),
            ("http://127.0.0.1:80", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(address(text).ok().map(|address| address.to_string()).as_deref(), wanted, "{text}");
        }
    }
}
