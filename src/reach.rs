//! What an API caller may touch on the server's side: files below the folders that the operator
//! opened, and network addresses that are public or that the operator opened.
//!
//! Names prove nothing. A path is judged after its symbolic links are resolved, a host by the
//! addresses it leads to, and the caller then uses exactly what was judged.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

/// How long a name server may take.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why something on the server's side is out of reach.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// The path is not below an opened folder, or a symbolic link on it leads out.
    #[error("path `{0}` is outside the folders that SYNCGUARD_FILE_ROOTS opens")]
    PathOutside(String),
    /// Nothing is there.
    #[error("path `{0}` does not exist")]
    NotFound(String),
    /// The path cannot be a file.
    #[error("path `{0}` does not name a file that can be written")]
    NotAFile(String),
    /// The file system refused.
    #[error("path `{path}` cannot be opened: {kind}")]
    Unreadable {
        /// The path as the caller gave it.
        path: String,
        /// What the operating system said.
        kind: ErrorKind,
    },
    /// The address is neither public nor opened.
    #[error("address {0} is not public; SYNCGUARD_ALLOW_PRIVATE_ADDRESSES can open it")]
    ForbiddenAddress(IpAddr),
    /// The host leads to an address that is neither public nor opened. Which one stays unsaid,
    /// because the caller may not be meant to know the inner network.
    #[error(
        "host `{0}` leads to an address that is not public; SYNCGUARD_ALLOW_PRIVATE_ADDRESSES can open it"
    )]
    ForbiddenHost(String),
    /// The name has no address now.
    #[error("host `{0}` cannot be resolved to an address; check the name and the name server")]
    Unresolved(String),
}

/// The folders and addresses that are open. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reach {
    opened: Arc<Opened>,
}

#[derive(Debug)]
struct Opened {
    roots: Vec<PathBuf>,
    private: Vec<IpNet>,
}

impl Reach {
    /// Opens `file_roots` for files, and `private` besides the public addresses. Relative roots
    /// are relative to the process's folder; a root need not exist yet.
    pub fn new(file_roots: Vec<PathBuf>, private: Vec<IpNet>) -> Reach {
        let roots = file_roots
            .into_iter()
            .map(|root| std::path::absolute(&root).unwrap_or(root))
            .collect();
        Reach {
            opened: Arc::new(Opened { roots, private }),
        }
    }

    /// The opened folders, as absolute paths.
    pub fn roots(&self) -> &[PathBuf] {
        &self.opened.roots
    }

    /// The real path of an existing file or folder. A relative path starts at the first root.
    ///
    /// # Errors
    /// `PathOutside` if it, or what its links lead to, is not below a root; `NotFound` if it does
    /// not exist; `Unreadable` if it cannot be looked at.
    pub fn existing(&self, path: &str) -> Result<PathBuf, ReachError> {
        let absolute = self.within(path)?;
        let real = absolute
            .canonicalize()
            .map_err(|error| unreadable(path, &error))?;
        if self.holds(&real) {
            Ok(real)
        } else {
            Err(ReachError::PathOutside(path.into()))
        }
    }

    /// The real path of a file to be created or replaced. Its folder must exist.
    ///
    /// # Errors
    /// `PathOutside` if its folder, or an existing link of that name, leads out of the roots;
    /// `NotFound` if its folder does not exist; `NotAFile` if a folder has that name.
    pub fn writable(&self, path: &str) -> Result<PathBuf, ReachError> {
        let absolute = self.within(path)?;
        let not_a_file = || ReachError::NotAFile(path.into());
        if path.ends_with(std::path::MAIN_SEPARATOR) {
            return Err(not_a_file());
        }
        let name = absolute.file_name().ok_or_else(not_a_file)?;
        let folder = absolute.parent().ok_or_else(not_a_file)?;
        let folder = folder
            .canonicalize()
            .map_err(|error| unreadable(path, &error))?;
        if !self.holds(&folder) {
            return Err(ReachError::PathOutside(path.into()));
        }
        let target = folder.join(name);
        let target = match target.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(target),
            Err(error) => return Err(unreadable(path, &error)),
            // A link to nothing would create a file wherever it points: not judged, refused.
            Ok(found) if found.is_symlink() => target
                .canonicalize()
                .map_err(|_| ReachError::PathOutside(path.into()))?,
            Ok(_) => target,
        };
        if !self.holds(&target) {
            return Err(ReachError::PathOutside(path.into()));
        }
        if target.is_file() {
            Ok(target)
        } else {
            Err(not_a_file())
        }
    }

    /// The absolute path, judged by its text alone, so that asking for a path outside does not
    /// even tell whether it exists.
    fn within(&self, path: &str) -> Result<PathBuf, ReachError> {
        let outside = || ReachError::PathOutside(path.into());
        if path.is_empty() || path.contains('\0') {
            return Err(ReachError::NotAFile(path.replace('\0', "\u{fffd}")));
        }
        let first = self.opened.roots.first().ok_or_else(outside)?;
        let absolute = first.join(path);
        let folded = folded(&absolute).ok_or_else(outside)?;
        let below = |root: &PathBuf| {
            folded.starts_with(root)
                || root
                    .canonicalize()
                    .is_ok_and(|real| folded.starts_with(real))
        };
        if self.opened.roots.iter().any(below) {
            Ok(absolute)
        } else {
            Err(outside())
        }
    }

    /// Whether a real path is below the real path of a root.
    fn holds(&self, real: &Path) -> bool {
        self.opened
            .roots
            .iter()
            .any(|root| root.canonicalize().is_ok_and(|root| real.starts_with(root)))
    }

    /// Whether an address may be connected to: global unicast, or opened by the operator.
    /// Addresses that carry an IPv4 address inside (mapped, NAT64, 6to4, Teredo) are not public,
    /// because where they lead is decided elsewhere.
    ///
    /// # Errors
    /// `ForbiddenAddress` if not.
    pub fn check_address(&self, ip: IpAddr) -> Result<(), ReachError> {
        let plain = ip.to_canonical();
        let opened = |net: &IpNet| net.contains(&ip) || net.contains(&plain);
        let public = match ip {
            IpAddr::V4(ip) => is_public_v4(ip),
            IpAddr::V6(ip) => is_public_v6(ip),
        };
        if public || self.opened.private.iter().any(opened) {
            Ok(())
        } else {
            Err(ReachError::ForbiddenAddress(ip))
        }
    }

    /// The addresses of a host, which is a name or an address, in brackets or not. The caller
    /// connects to exactly these and resolves no further.
    ///
    /// # Errors
    /// `ForbiddenHost` or `ForbiddenAddress` if any of them is forbidden; `Unresolved` if there
    /// is none.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ReachError> {
        let bare = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            self.check_address(ip)?;
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let unresolved = || ReachError::Unresolved(bare.into());
        if bare.is_empty() {
            return Err(unresolved());
        }
        let found = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((bare, port)))
            .await
            .map_err(|_| unresolved())?
            .map_err(|_| unresolved())?;
        let mut addresses = Vec::new();
        for address in found {
            self.check_address(address.ip())
                .map_err(|_| ReachError::ForbiddenHost(bare.into()))?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            Err(unresolved())
        } else {
            Ok(addresses)
        }
    }
}

fn unreadable(path: &str, error: &std::io::Error) -> ReachError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => ReachError::NotFound(path.into()),
        kind => ReachError::Unreadable {
            path: path.into(),
            kind,
        },
    }
}

/// A path without `.` and `..`; `None` if it climbs above `/`.
fn folded(path: &Path) -> Option<PathBuf> {
    let mut folded = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !folded.pop() {
                    return None;
                }
            }
            other => folded.push(other),
        }
    }
    Some(folded)
}

/// IPv4 ranges that are not global unicast, by the IANA special-purpose registry.
const SPECIAL_V4: [(Ipv4Addr, u32); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // A cloud's host service behind a public-looking address.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    (Ipv4Addr::new(255, 255, 255, 255), 32),
];

/// The one IPv6 range in use for global unicast, and what is special within it.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const SPECIAL_V6: [(Ipv6Addr, u32); 4] = [
    // Protocol assignments, with Teredo and benchmarking among them.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

fn is_public_v4(ip: Ipv4Addr) -> bool {
    !SPECIAL_V4
        .iter()
        .any(|(base, bits)| (ip.to_bits() ^ base.to_bits()) >> (32 - bits) == 0)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let within =
        |(base, bits): &(Ipv6Addr, u32)| (ip.to_bits() ^ base.to_bits()) >> (128 - bits) == 0;
    within(&GLOBAL_V6) && !SPECIAL_V6.iter().any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(private: &[&str]) -> Reach {
        Reach::new(
            Vec::new(),
            private
                .iter()
                .map(|net| net.parse().expect("network"))
                .collect(),
        )
    }

    #[test]
    fn addresses_are_judged_as_the_table_says() {
        let reach = reach(&[]);
        for line in include_str!("../fixtures/reach/addresses.txt").lines() {
            let Some((verdict, address)) = line.split_once(' ') else {
                continue;
            };
            let ip: IpAddr = address.parse().expect(address);
            assert_eq!(
                reach.check_address(ip).is_ok(),
                verdict == "public",
                "{address}"
            );
        }
    }

    #[test]
    fn an_opened_network_is_allowed_also_as_a_mapped_address() {
        let reach = reach(&["127.0.0.0/8", "fd00::/8"]);
        for open in ["127.0.0.1", "::ffff:127.9.9.9", "fd00::1"] {
            assert!(
                reach.check_address(open.parse().expect(open)).is_ok(),
                "{open}"
            );
        }
        for shut in ["10.0.0.1", "::1", "fe80::1", "::ffff:10.0.0.1"] {
            assert!(
                reach.check_address(shut.parse().expect(shut)).is_err(),
                "{shut}"
            );
        }
    }

    #[tokio::test]
    async fn a_host_is_judged_by_where_it_leads() {
        let shut = reach(&[]);
        for host in [
            "localhost",
            "127.1",
            "0x7f000001",
            "2130706433",
            "[::1]",
            "::1",
        ] {
            let error = shut.resolve(host, 80).await.expect_err(host);
            assert!(
                !matches!(error, ReachError::Unresolved(_)),
                "{host}: {error}"
            );
        }
        let open = reach(&["127.0.0.0/8", "::1/128"]);
        let found = open.resolve("localhost", 80).await.expect("localhost");
        assert!(
            found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 80)
        );
        assert!(matches!(
            open.resolve("", 80).await,
            Err(ReachError::Unresolved(_))
        ));
    }

    #[cfg(unix)]
    #[test]
    fn paths_are_judged_after_their_links() {
        use std::os::unix::fs::symlink;
        let base = tempfile::tempdir().expect("folder");
        let (root, beside) = (base.path().join("root"), base.path().join("beside"));
        for folder in [&root, &beside, &root.join("in")] {
            std::fs::create_dir(folder).expect("folder");
        }
        std::fs::write(beside.join("secret.csv"), "x").expect("file");
        std::fs::write(root.join("in/data.csv"), "x").expect("file");
        symlink(&beside, root.join("out")).expect("link");
        symlink(beside.join("secret.csv"), root.join("link.csv")).expect("link");
        symlink(beside.join("new.csv"), root.join("dangling.csv")).expect("link");
        symlink(root.join("in/data.csv"), root.join("inner.csv")).expect("link");
        let reach = Reach::new(vec![root.clone()], Vec::new());
        let outside = |result: Result<PathBuf, ReachError>, path: &str| {
            assert!(
                matches!(result, Err(ReachError::PathOutside(_))),
                "{path}: {result:?}"
            );
        };
        for path in [
            "../beside/secret.csv",
            "out/secret.csv",
            "link.csv",
            "/etc/passwd",
            "in/../..",
        ] {
            outside(reach.existing(path), path);
        }
        for path in [
            "../new.csv",
            "out/new.csv",
            "link.csv",
            "dangling.csv",
            "/etc/new",
            "/",
        ] {
            outside(reach.writable(path), path);
        }
        let real = root.canonicalize().expect("root");
        assert_eq!(
            reach.existing("inner.csv").expect("inner"),
            real.join("in/data.csv")
        );
        assert_eq!(
            reach.writable("in/new.csv").expect("new"),
            real.join("in/new.csv")
        );
        assert_eq!(
            reach.writable("inner.csv").expect("inner"),
            real.join("in/data.csv")
        );
        assert!(matches!(
            reach.existing("none.csv"),
            Err(ReachError::NotFound(_))
        ));
        assert!(matches!(
            reach.writable("none/new.csv"),
            Err(ReachError::NotFound(_))
        ));
        assert!(matches!(reach.writable("in"), Err(ReachError::NotAFile(_))));
        assert!(matches!(
            reach.writable("in/"),
            Err(ReachError::NotAFile(_))
        ));
    }
}
