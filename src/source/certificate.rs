//! What is wrong with a broker's certificate. librdkafka's OpenSSL refuses it and says only that it
//! cannot be verified; so the same handshake is made once more by another library, which says why.
//!
//! Nothing but the handshake is sent, no client certificate and no password, and the connection is
//! used for nothing. What rustls thinks changes no decision: it is asked after librdkafka refused.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, Error, RootCertStore};

/// The most that connecting, and each read and write, takes.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) const AUTHORITY: &str =
    "ca_file in [kafka.tls] must hold the authority that signed the brokers' certificates";
const NAME: &str = "connect by a name that the certificate has (bootstrap_servers, and the brokers' advertised.listeners), or have it issued for this one";
const TIME: &str = "the broker needs a certificate that is valid now; look at both clocks, too";

/// Why a certificate is refused.
#[derive(Debug)]
pub(super) struct Objection {
    pub(super) words: String,
    pub(super) advice: &'static str,
}

/// `host:port` in librdkafka's words, such as `sasl_ssl://host:9093/bootstrap: …`.
pub(super) fn address_in(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once("://")?;
    let (address, _) = rest.split_once('/')?;
    Some(address)
}

/// Makes a handshake with `address` (`host:port`) that trusts what is in `ca_file`; without one,
/// nothing. `None` when it succeeds, or fails for another reason than the certificate.
pub(super) fn objection(address: &str, ca_file: Option<&str>) -> Option<Objection> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = ca_file {
        let certificates = CertificateDer::pem_file_iter(file).ok()?;
        roots.add_parsable_certificates(certificates.flatten());
    }
    match handshake(address, roots)? {
        // Without a file of our own every authority is unknown here, whatever the system trusts.
        CertificateError::UnknownIssuer if ca_file.is_none() => None,
        error => Some(explain(&error)),
    }
}

fn handshake(address: &str, roots: RootCertStore) -> Option<CertificateError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (host, _) = address.rsplit_once(':')?;
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).ok()?;
    let mut tls = ClientConnection::new(Arc::new(config), name).ok()?;
    let socket = address
        .to_socket_addrs()
        .ok()?
        .find_map(|address| TcpStream::connect_timeout(&address, PATIENCE).ok());
    let mut socket = socket?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.set_write_timeout(Some(PATIENCE)).ok()?;
    let failed = tls.complete_io(&mut socket).err()?;
    match failed.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(error) => Some(error.clone()),
        _ => None,
    }
}

fn explain(error: &CertificateError) -> Objection {
    use CertificateError as E;
    let (words, advice) = match error {
        E::UnknownIssuer => (
            "its certificate is signed by an authority that ca_file does not hold".to_owned(),
            AUTHORITY,
        ),
        E::BadSignature => (
            "its certificate is not signed by the authority of that name in ca_file".to_owned(),
            AUTHORITY,
        ),
        E::NotValidForName | E::NotValidForNameContext { .. } => (
            format!("its certificate is for another name: {error}"),
            NAME,
        ),
        E::Expired | E::ExpiredContext { .. } => {
            (format!("its certificate has expired: {error}"), TIME)
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            (format!("its certificate is not valid yet: {error}"), TIME)
        }
        other => (format!("its certificate is refused: {other}"), AUTHORITY),
    };
    Objection { words, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_what_librdkafka_says() {
        let found = address_in("sasl_ssl://[::1]:9093/bootstrap: SSL handshake failed: …");
        assert_eq!(found, Some("[::1]:9093"));
        assert_eq!(address_in("ssl://h:1/2: error:0A000086:SSL"), Some("h:1"));
        assert_eq!(address_in("all brokers are down"), None);
    }
}
