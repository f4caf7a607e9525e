//! TLS, against QEMU's own `tls-creds-x509`.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

use crate::common::qemu::bare_qemu;
use crate::common::running::Running;
use crate::common::sockets::Port;
use crate::common::{Outcome, Qemu, qmpsh, scratch, text, wait_for};

/// An authority, with its certificate in PEM.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Ca {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// Writes the certificate and the key of `role`, `server` or `client`, into `directory`, with this
    /// authority's own.
    fn issue(&self, directory: &Path, role: &str, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])
            .expect("names");
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![match role {
            "server" => ExtendedKeyUsagePurpose::ServerAuth,
            _ => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.distinguished_name.push(DnType::CommonName, role);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        self.install(directory);
        write(directory, &format!("{role}-cert.pem"), &certificate.pem());
        write(directory, &format!("{role}-key.pem"), &key.serialize_pem());
    }

    fn install(&self, directory: &Path) {
        write(directory, "ca-cert.pem", &self.certificate);
    }
}

fn write(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).expect("a file of ours");
}

/// A QEMU with a monitor in TLS, and the credentials of both sides.
struct Tls {
    qemu: Qemu,
    address: String,
    ca: Ca,
    /// What qmpsh is given.
    creds: TempDir,
    _server: TempDir,
}

impl Tls {
    /// A server that wants no certificate of its clients, with one of its own that `change` changed.
    fn open(change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::start("off", change)
    }

    /// A server that wants its clients to have a certificate.
    fn verifying() -> Self {
        Self::start("on", |_| {})
    }

    fn start(verify_peer: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (creds, server) = (scratch(), scratch());
        let ca = Ca::new("an authority");
        ca.issue(server.path(), "server", change);
        ca.install(creds.path());
        let object = format!(
            "tls-creds-x509,id=tls0,endpoint=server,dir={},verify-peer={verify_peer},sanity-check=off",
            server.path().display()
        );
        let chardev = "socket,id=c,host=127.0.0.1,port=0,server=on,wait=off,tls-creds=tls0";
        let qemu = Qemu::with_args(&[
            "-machine",
            "none",
            "-object",
            &object,
            "-chardev",
            chardev,
            "-mon",
            "chardev=c,mode=control",
        ]);
        Self {
            address: qemu.tcp_address(),
            qemu,
            ca,
            creds,
            _server: server,
        }
    }

    fn qmpsh(&self, args: &[&str]) -> Outcome {
        self.qmpsh_at("127.0.0.1", args)
    }

    fn qmpsh_at(&self, host: &str, args: &[&str]) -> Outcome {
        let address = self.address.replace("127.0.0.1", host);
        connect(&address, self.creds.path(), args)
    }

    fn client_cert(&self) -> PathBuf {
        self.creds.path().join("client-cert.pem")
    }
}

fn connect(address: &str, creds: &Path, args: &[&str]) -> Outcome {
    let creds = text(creds);
    qmpsh(&[&["--tls-creds", creds, "-c", address], args].concat(), "")
}

#[test]
fn a_server_that_does_not_verify_its_peers_needs_no_client_certificate() {
    let tls = Tls::open(|_| {});
    for host in ["127.0.0.1", "localhost"] {
        let outcome = tls.qmpsh_at(host, &["query-status"]);
        assert_eq!(outcome.assert_status(0).json()[0]["status"], "running");
    }
}

#[test]
fn a_server_that_verifies_its_peers_takes_our_certificate() {
    let tls = Tls::verifying();
    tls.ca.issue(tls.creds.path(), "client", |_| {});
    let outcome = tls.qmpsh(&["query-status"]);
    assert_eq!(outcome.assert_status(0).json()[0]["status"], "running");
    // And many messages, in both directions.
    let script: Vec<&str> = ["-e", "query-qmp-schema"].repeat(20);
    let outcome = tls.qmpsh(&[&["-k"], &script[..]].concat());
    assert_eq!(outcome.assert_status(0).json().len(), 20);
}

#[test]
fn a_missing_client_certificate_is_reported_as_missing() {
    let tls = Tls::verifying();
    let outcome = tls.qmpsh(&["query-status"]);
    let missing = format!("{} does not exist", tls.client_cert().display());
    outcome.assert_fails(3, "the server wants a client certificate");
    outcome.assert_says(&missing);
}

#[test]
fn a_client_certificate_unknown_to_the_server_is_reported_as_refused() {
    let tls = Tls::verifying();
    Ca::new("another authority").issue(tls.creds.path(), "client", |_| {});
    tls.ca.install(tls.creds.path());
    let outcome = tls.qmpsh(&["query-status"]);
    outcome.assert_fails(3, &tls.client_cert().display().to_string());
    outcome.assert_says("not");
}

#[test]
fn an_expired_certificate_is_reported_as_expired() {
    let tls = Tls::open(|params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let outcome = tls.qmpsh(&["query-status"]);
    outcome.assert_fails(3, "the server's certificate has expired");
}

#[test]
fn a_certificate_of_the_future_is_reported_as_not_valid_yet() {
    let tls = Tls::open(|params| params.not_before = date_time_ymd(3000, 1, 1));
    let outcome = tls.qmpsh(&["query-status"]);
    outcome.assert_fails(3, "the server's certificate is not valid yet");
}

#[test]
fn a_certificate_for_another_name_is_refused_unless_that_name_is_expected() {
    let tls = Tls::open(|params| {
        params.subject_alt_names = CertificateParams::new(["vm.example".to_owned()])
            .expect("a name")
            .subject_alt_names;
    });
    let outcome = tls.qmpsh(&["query-status"]);
    let why = "is not for `127.0.0.1` but for `vm.example`; use --tls-hostname";
    outcome.assert_fails(3, why);
    let outcome = tls.qmpsh(&["--tls-hostname", "vm.example", "query-status"]);
    outcome.assert_status(0);
    let outcome = tls.qmpsh(&["--tls-hostname", "other.example", "query-status"]);
    outcome.assert_fails(3, "is not for `other.example`");
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let tls = Tls::open(|_| {});
    Ca::new("another authority").install(tls.creds.path());
    let outcome = tls.qmpsh(&["query-status"]);
    let authority = tls.creds.path().join("ca-cert.pem");
    let why = format!("was not issued by the CA in {}", authority.display());
    outcome.assert_fails(3, &why);
}

#[test]
fn a_revoked_certificate_is_refused() {
    let serial = SerialNumber::from(4711);
    let tls = Tls::open(|params| params.serial_number = Some(serial.clone()));
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2001, 1, 1),
        next_update: date_time_ymd(3000, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: serial,
            revocation_time: date_time_ymd(2002, 1, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list
        .signed_by(&tls.ca.issuer)
        .expect("a list")
        .pem()
        .expect("PEM");
    write(tls.creds.path(), "ca-crl.pem", &list);
    let outcome = tls.qmpsh(&["query-status"]);
    outcome.assert_fails(3, "the server's certificate was revoked");
}

#[test]
fn a_server_in_plain_text_is_reported_as_not_speaking_tls() {
    let monitor = "tcp:127.0.0.1:0,server=on,wait=off";
    let qemu = Qemu::with_args(&["-machine", "none", "-qmp", monitor]);
    let creds = scratch();
    Ca::new("an authority").install(creds.path());
    let outcome = connect(&qemu.tcp_address(), creds.path(), &["stop"]);
    outcome.assert_fails(
        3,
        "the server does not speak TLS: what it sent is plain text",
    );
    let status = qemu.qmpsh(&["query-status"]).json().remove(0);
    assert_eq!(status["status"], "running");
}

#[test]
fn unusable_credentials_are_named() {
    let creds = scratch();
    let path = |name: &str| creds.path().join(name).display().to_string();
    // Nothing listens there; credentials are read when something does.
    let tls = Tls::open(|_| {});
    let run = || connect(&tls.address, creds.path(), &["stop"]);
    run().assert_fails(2, &path("ca-cert.pem"));
    write(creds.path(), "ca-cert.pem", "no certificate");
    run().assert_fails(2, &path("ca-cert.pem"));
    let ca = Ca::new("an authority");
    ca.issue(creds.path(), "client", |_| {});
    fs::remove_file(creds.path().join("client-key.pem")).expect("it was there");
    run().assert_fails(2, &path("client-key.pem"));
    let other = KeyPair::generate().expect("a key").serialize_pem();
    write(creds.path(), "client-key.pem", &other);
    run().assert_fails(2, "it is not the private key of client-cert.pem");
}

#[test]
fn a_connection_that_is_not_tcp_is_refused_with_credentials() {
    let creds = scratch();
    Ca::new("an authority").install(creds.path());
    let outcome = connect("/run/vm.sock", creds.path(), &["stop"]);
    outcome.assert_fails(2, "--tls-creds");
}

#[test]
fn no_descriptor_travels_over_tls() {
    let tls = Tls::open(|_| {});
    let outcome = tls.qmpsh(&["add-fd", "fdset-id=1", "</dev/null"]);
    outcome.assert_fails(2, "which a TLS connection cannot carry");
    assert_eq!(tls.qemu.control("query-fdsets").stdout(), "[]\n");
}

/// The credentials of a server and of a client that it trusts, each in a directory.
fn both_sides() -> (Ca, TempDir, TempDir) {
    let (server, client) = (scratch(), scratch());
    let ca = Ca::new("an authority");
    ca.issue(server.path(), "server", |_| {});
    ca.issue(client.path(), "client", |_| {});
    (ca, server, client)
}

#[test]
fn a_vm_is_served_over_tcp_to_clients_with_a_certificate_alone() {
    let (ca, server, client) = both_sides();
    let qemu = Qemu::start();
    let port = Port::reserve();
    let address = port.address();
    let mut serving = qemu.running(&["--serve", &address, "--tls-creds", text(server.path())]);
    serving.close();
    let outcome = wait_for("the server", || {
        let outcome = connect(&address, client.path(), &["query-status"]);
        (!outcome.stderr().contains("nothing listens")).then_some(outcome)
    });
    assert_eq!(outcome.assert_status(0).json()[0]["running"], true);
    // Of another authority, of none at all, and not even TLS.
    let (_, _, stranger) = both_sides();
    ca.install(stranger.path());
    connect(&address, stranger.path(), &["query-status"]).assert_status(3);
    serving.wait_for_complaint("turned away");
    let nobody = scratch();
    ca.install(nobody.path());
    connect(&address, nobody.path(), &["query-status"]).assert_status(3);
    serving.wait_for_complaint("the client has no certificate");
    qmpsh(
        &["-c", &address, "--connect-timeout", "20", "query-status"],
        "",
    )
    .assert_status(3);
    let outcome = connect(&address, client.path(), &["query-status"]);
    outcome.assert_status(0);
}

#[test]
fn a_vm_is_not_served_over_tcp_without_tls() {
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&["--serve", "127.0.0.1:0"]);
    outcome.assert_fails(3, "use --tls-creds");
}

#[test]
fn a_qemu_that_connects_to_us_over_tls_needs_a_certificate() {
    let (_ca, server, client) = both_sides();
    let port = Port::reserve();
    let address = port.address();
    let home = scratch();
    let listening = Running::qmpsh(
        home.path(),
        &[
            "--listen",
            &address,
            "--tls-creds",
            text(server.path()),
            "query-name",
        ],
    );
    // Whoever does not speak TLS is no reason to end.
    let stranger = wait_for("the port", || TcpStream::connect(&address).ok());
    writeln!(&stranger, "hello").expect("it listens");
    listening.wait_for_complaint("the client does not speak TLS");
    let creds = format!(
        "tls-creds-x509,id=tls0,endpoint=client,dir={},sanity-check=off",
        client.path().display()
    );
    let chardev = format!(
        "socket,id=c,host=127.0.0.1,port={},server=off,tls-creds=tls0",
        port.number()
    );
    let options = [
        "-name",
        "secure",
        "-object",
        &creds,
        "-chardev",
        &chardev,
        "-qmp",
        "chardev:c",
    ];
    let _qemu = bare_qemu(&options, Vec::new());
    assert_eq!(listening.line(), r#"{"name": "secure"}"#);
}
