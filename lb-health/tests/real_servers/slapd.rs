//! OpenLDAP's slapd: who is let in, and what is there for whom to see.

use lb_health::checkers::{Ldap, Tls};

use crate::harness::{Identity, Server, are_installed, check, failure, until};

const SERVER: &str = "/usr/sbin/slapd";
const IMPORT: &str = "/usr/sbin/slapadd";
const BASE: &str = "dc=example,dc=org";

fn start(identity: &Identity) -> Server {
    let mut server = Server::prepare("slapd", "openldap");
    let certificate = server.write("certificate.pem", &identity.certificate);
    let key = server.write_secret("key.pem", &identity.key);
    let data = server.directory("data", "openldap");
    let configuration = server.write(
        "slapd.conf",
        &format!(
            "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             TLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}\n\
             database mdb\nsuffix {BASE}\nrootdn cn=admin,{BASE}\nrootpw word\ndirectory {data}\n\
             access to * by dn.exact=cn=check,{BASE} read by anonymous auth by * none\n"
        ),
    );
    let entries = server.write(
        "entries.ldif",
        &format!(
            "dn: {BASE}\nobjectClass: organization\nobjectClass: dcObject\ndc: example\no: Example\n\n\
             dn: cn=check,{BASE}\nobjectClass: person\ncn: check\nsn: check\nuserPassword: secret\n"
        ),
    );
    server.run(IMPORT, &["-f", &configuration, "-l", &entries]);
    let port = server.port();
    let urls = format!("ldap://127.0.0.1:{port} ldaps://127.0.0.2:{port}");
    server.start(SERVER, &["-d", "256", "-f", &configuration, "-h", &urls]);
    server
}

#[tokio::test]
#[ignore = "needs slapd"]
async fn slapd_lets_in_who_knows_the_password_and_has_the_entry() {
    if !are_installed(&[SERVER, IMPORT]) {
        return;
    }
    let identity = Identity::new();
    let mut server = start(&identity);
    let user = || Ldap::new().with_user(&format!("cn=check,{BASE}"), "secret");
    check(Ldap::new(), &server).await.unwrap();
    check(Ldap::new().with_entry("", "objectClass"), &server).await.unwrap();
    check(user(), &server).await.unwrap();
    let report = check(user().with_entry(BASE, "objectClass"), &server).await.unwrap();
    assert_eq!(report.trace.evidence().received.as_str(), BASE);
    check(user().with_entry(BASE, "dc"), &server).await.unwrap();
    until("slapd has logged the farewells", || server.log().matches("UNBIND").count() == 5);

    let wrong = Ldap::new().with_user(&format!("cn=check,{BASE}"), "wrong");
    let (cause, text) = failure(wrong, &server).await;
    assert_eq!((cause, text.contains("invalidCredentials (49)")), ("rejected", true), "{text}");
    let (cause, text) = failure(Ldap::new().with_user("cn=x", ""), &server).await;
    assert_eq!((cause, text.contains("unwillingToPerform (53)")), ("rejected", true), "{text}");
    // Nobody may see it.
    let (cause, text) = failure(Ldap::new().with_entry(BASE, "objectClass"), &server).await;
    assert_eq!(
        (cause, text.contains("insufficientAccessRights (50)")),
        ("rejected", true),
        "{text}"
    );
    let (cause, text) = failure(user().with_entry(BASE, "telephoneNumber"), &server).await;
    assert_eq!((cause, text.contains("there is no")), ("rejected", true), "{text}");

    server.address.set_ip([127, 0, 0, 2].into());
    let tls =
        Tls::trusting(identity.certificate.as_bytes()).unwrap().with_name("localhost").unwrap();
    check(user().with_tls(tls.clone()), &server).await.unwrap();
    let elsewhere = tls.with_name("example.org").unwrap();
    assert_eq!(failure(user().with_tls(elsewhere), &server).await.0, "tls-name");
    assert_eq!(failure(user(), &server).await.0, "closed");
}
