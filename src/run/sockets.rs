use super::RunError;
use crate::config::ServerConfig;
use crate::platform;
use crate::server::{Bound, Takeover};

/// The listening sockets: those that the service manager has bound, those of the server that was here before, and what
/// else the settings name. A service manager's are served whether they stand in the settings or not, and instead of the
/// address that is meant where nothing is said.
pub(super) fn listeners(server: &ServerConfig, mut takeover: Option<&mut Takeover>) -> Result<Vec<Bound>, RunError> {
    let activated = platform::activated()?.into_iter().map(|socket| Bound::adopt(socket, |_| true));
    let mut bound = activated.collect::<Result<Vec<_>, _>>()?;
    if let Some(takeover) = &mut takeover {
        bound.extend(takeover.lent());
    }
    let lent = bound.len();
    for listen in &server.listen {
        let is_lent = bound.iter().take(lent).any(|bound| bound.serves(listen));
        if is_lent || (lent > 0 && !server.listen_is_chosen) {
            continue;
        }
        bound.push(match takeover.as_mut().and_then(|takeover| takeover.listener(listen)) {
            Some(handed) => handed,
            None => Bound::bind(listen)?,
        });
    }
    Ok(bound)
}
