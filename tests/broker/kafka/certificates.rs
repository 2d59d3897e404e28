//! Certificates for the tests: an authority, what it signs, and another authority.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// A folder of PEM files. `NAME.pem` is a certificate, `NAME.key` its key, and `NAME.store` both, with the authority's
/// certificate behind them, as Kafka wants a keystore.
pub(super) struct Certificates {
    folder: TempDir,
}

struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    pub(super) fn make() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let authority = Authority::new("psiren tests");
        let another = Authority::new("somebody else");
        let this = Self { folder };
        this.write("ca.pem", &authority.certificate);
        this.write("another-ca.pem", &another.certificate);
        this.sign(
            "broker",
            &params("broker", &["localhost", "127.0.0.1"]),
            &authority,
        );
        this.sign(
            "elsewhere",
            &params("elsewhere", &["elsewhere.example"]),
            &authority,
        );
        let mut expired = params("expired", &["localhost", "127.0.0.1"]);
        expired.not_before = date_time_ymd(2020, 1, 1);
        expired.not_after = date_time_ymd(2020, 2, 1);
        this.sign("expired", &expired, &authority);
        this.sign("client", &params("psiren", &[]), &authority);
        this
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn sign(&self, name: &str, params: &CertificateParams, authority: &Authority) {
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &authority.issuer).expect("signed");
        let (certificate, key) = (signed.pem(), key.serialize_pem());
        self.write(&format!("{name}.pem"), &certificate);
        self.write(&format!("{name}.key"), &key);
        let store = [key, certificate, authority.certificate.clone()].concat();
        self.write(&format!("{name}.store"), &store);
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.folder.path().join(file);
        fs::write(path, text).expect("a file is written");
    }
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed").pem();
        let issuer = Issuer::new(params, key);
        Self {
            certificate,
            issuer,
        }
    }
}

/// Names and addresses it is for, and `CN=name`.
fn params(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
