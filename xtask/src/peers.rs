//! The servers we are measured against and tested with: the newest packages of Debian unstable, unpacked under
//! `target/peers/<package>/` and never installed.
//!
//! apt is run with folders of its own and one source: the machine's own, with the suite replaced, so its mirror
//! and its keys stay what the machine trusts. A package that is there already is not asked for again.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{place, shell};

/// The suite that carries the newest packages.
const SUITE: &str = "unstable";
/// How often a download that fails is tried in all.
const ATTEMPTS: usize = 3;
/// The packages, and the program that is wanted from each.
const PACKAGES: [(&str, &str); 4] = [
    ("prometheus", "usr/bin/prometheus"),
    ("promtool", "usr/bin/promtool"),
    ("prometheus-node-exporter", "usr/bin/prometheus-node-exporter"),
    ("victoria-metrics", "usr/bin/victoria-metrics"),
];

/// The programs, ready to be started.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    pub(crate) prometheus: PathBuf,
    pub(crate) promtool: PathBuf,
    pub(crate) node_exporter: PathBuf,
    pub(crate) victoria_metrics: PathBuf,
}

/// Downloads and unpacks what is not there yet.
///
/// # Errors
/// If this is not a Debian machine, the mirror cannot be reached, or a program does not start.
pub(crate) fn bring(refresh: bool) -> Result<Peers> {
    let folder = place::target().join("peers");
    let missing: Vec<_> = PACKAGES
        .into_iter()
        .filter(|(package, program)| refresh || !folder.join(package).join(program).is_file())
        .collect();
    if !missing.is_empty() {
        let apt = Apt::prepare(&folder.join("apt"))?;
        apt.update()?;
        for (package, program) in missing {
            unpack(&apt, package, program, &folder)?;
        }
    }
    let at = |index: usize| folder.join(PACKAGES[index].0).join(PACKAGES[index].1);
    Ok(Peers { prometheus: at(0), promtool: at(1), node_exporter: at(2), victoria_metrics: at(3) })
}

/// Load balancers, as this machine's release has them: what they link with is its own.
const BALANCERS: [(&str, &str); 2] = [("nginx", "usr/sbin/nginx"), ("haproxy", "usr/sbin/haproxy")];
/// Libraries that they want beside those that every machine has.
const LIBRARIES: [&str; 3] = ["liblua5.3-0", "libopentracing1", "libopentracing-c-wrapper0"];

/// nginx and haproxy, ready to be started.
pub(crate) struct Balancers {
    folder: PathBuf,
}

impl Balancers {
    pub(crate) fn nginx(&self) -> Command {
        self.command(0)
    }

    pub(crate) fn haproxy(&self) -> Command {
        self.command(1)
    }

    fn command(&self, index: usize) -> Command {
        let (package, program) = BALANCERS[index];
        let mut command = Command::new(self.folder.join(package).join(program));
        let libraries = self.folder.join("libraries/usr/lib");
        let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
        let paths = [libraries.join(multiarch), libraries];
        command.env("LD_LIBRARY_PATH", std::env::join_paths(paths).unwrap_or_default());
        command
    }
}

/// Downloads and unpacks what is not there yet.
///
/// # Errors
/// As with [`bring`].
pub(crate) fn balancers() -> Result<Balancers> {
    let folder = place::target().join("peers");
    let found = Balancers { folder: folder.clone() };
    if BALANCERS.iter().all(|(package, program)| folder.join(package).join(program).is_file()) {
        return Ok(found);
    }
    let apt = Apt::prepare_release(&folder.join("apt-release"))?;
    apt.update()?;
    let libraries = folder.join("libraries");
    for package in LIBRARIES {
        // Other releases have haproxy link with other libraries, which is seen when it starts.
        if let Ok(archive) = apt.download(package) {
            shell::run(shell::command("dpkg-deb", &["--extract"]).arg(&archive).arg(&libraries))?;
        }
    }
    for (index, (package, _)) in BALANCERS.into_iter().enumerate() {
        let archive = apt.download(package)?;
        let home = folder.join(package);
        shell::run(shell::command("dpkg-deb", &["--extract"]).arg(&archive).arg(&home))?;
        let started = shell::output(found.command(index).arg("-v"));
        if let Err(error) = started {
            fs::remove_dir_all(&home)?;
            return Err(error.context(format!("{package} does not run on this machine")));
        }
    }
    Ok(found)
}

/// collectd, as this machine's release has it, and the libraries of the plugins that are used.
const COLLECTD: [&str; 3] = ["collectd-core", "libmicrohttpd12", "libprotobuf-c1"];

/// collectd, ready to be started, and where its plugins and types lie.
pub(crate) struct Collectd {
    folder: PathBuf,
}

impl Collectd {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.folder.join("usr/sbin/collectd"));
        let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        command.env("LD_LIBRARY_PATH", self.folder.join(libraries));
        command
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.folder.join("usr/lib/collectd")
    }

    pub(crate) fn types(&self) -> PathBuf {
        self.folder.join("usr/share/collectd/types.db")
    }
}

/// Downloads and unpacks what is not there yet.
///
/// # Errors
/// As with [`bring`].
pub(crate) fn collectd() -> Result<Collectd> {
    let peers = place::target().join("peers");
    let (folder, unpacked) = (peers.join("collectd"), peers.join("collectd.new"));
    let found = Collectd { folder: folder.clone() };
    if folder.is_dir() {
        return Ok(found);
    }
    let apt = Apt::prepare_release(&peers.join("apt-release"))?;
    apt.update()?;
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)?;
    }
    for package in COLLECTD {
        let archive = apt.download(package)?;
        shell::run(shell::command("dpkg-deb", &["--extract"]).arg(&archive).arg(&unpacked))?;
    }
    fs::rename(&unpacked, &folder)?;
    Ok(found)
}

/// Alertmanager and amtool, as this machine's release has them.
#[derive(Clone, Debug)]
pub(crate) struct Alertmanager {
    pub(crate) program: PathBuf,
    pub(crate) amtool: PathBuf,
    /// What it wants to find under [`TEMPLATES`].
    pub(crate) templates: PathBuf,
}

/// Downloads and unpacks what is not there yet.
///
/// # Errors
/// As with [`bring`].
pub(crate) fn alertmanager() -> Result<Alertmanager> {
    const PACKAGE: &str = "prometheus-alertmanager";
    let peers = place::target().join("peers");
    let (folder, unpacked) = (peers.join(PACKAGE), peers.join("prometheus-alertmanager.new"));
    let found = Alertmanager {
        program: folder.join("usr/bin/prometheus-alertmanager"),
        amtool: folder.join("usr/bin/amtool"),
        templates: folder.join("usr/share/prometheus/alertmanager"),
    };
    if folder.is_dir() {
        return Ok(found);
    }
    let apt = Apt::prepare_release(&peers.join("apt-release"))?;
    apt.update()?;
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)?;
    }
    let archive = apt.download(PACKAGE)?;
    shell::run(shell::command("dpkg-deb", &["--extract"]).arg(&archive).arg(&unpacked))?;
    take_templates_from_here(&unpacked.join("usr/bin/prometheus-alertmanager"))?;
    fs::rename(&unpacked, &folder)?;
    Ok(found)
}

/// Where Alertmanager finds its templates, relative to the folder in which it is started.
pub(crate) const TEMPLATES: &str = "templates";

/// Debian's Alertmanager has its templates in one place of an installed system, and is not installed here: the path in the
/// program is replaced by a relative one of the same length.
fn take_templates_from_here(program: &Path) -> Result<()> {
    const INSTALLED: &[u8] = b"/usr/share/prometheus/alertmanager";
    let mut bytes = fs::read(program)?;
    let mut here = b"./".repeat(INSTALLED.len() / 2);
    here.truncate(INSTALLED.len() - TEMPLATES.len());
    let last = here.len() - 1;
    here[last] = b'/';
    here.extend_from_slice(TEMPLATES.as_bytes());
    let mut from = 0;
    while let Some(at) = bytes[from..].windows(INSTALLED.len()).position(|window| window == INSTALLED) {
        bytes[from + at..from + at + INSTALLED.len()].copy_from_slice(&here);
        from += at + INSTALLED.len();
    }
    ensure!(from > 0, "this Alertmanager has its templates elsewhere");
    Ok(fs::write(program, bytes)?)
}

/// Prints each program with its version.
pub(crate) fn print(peers: &Peers) -> Result<()> {
    let folder = place::target().join("peers");
    for path in [&peers.prometheus, &peers.promtool, &peers.node_exporter, &peers.victoria_metrics] {
        let package =
            path.strip_prefix(&folder)?.iter().next().context("a peer lies in its package's folder")?;
        let version = fs::read_to_string(folder.join(package).join("version"))?;
        println!("{}\t{}\t{}", package.to_string_lossy(), version.trim(), path.display());
    }
    Ok(())
}

fn unpack(apt: &Apt, package: &str, program: &str, folder: &Path) -> Result<()> {
    let archive = apt.download(package)?;
    let version = shell::output(shell::command("dpkg-deb", &["--field"]).arg(&archive).arg("Version"))?;
    let unpacked = folder.join(format!("{package}.new"));
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)?;
    }
    shell::run(shell::command("dpkg-deb", &["--extract"]).arg(&archive).arg(&unpacked))?;
    fs::write(unpacked.join("version"), &version)?;
    // Each of them answers this flag; one that lacks a shared library does not.
    let flag = if package == "victoria-metrics" { "-version" } else { "--version" };
    shell::output(&mut shell::command(&unpacked.join(program).to_string_lossy(), &[flag]))
        .with_context(|| format!("{package} {} does not run on this machine", version.trim()))?;
    let home = folder.join(package);
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    fs::rename(&unpacked, &home)?;
    fs::remove_file(&archive)?;
    Ok(())
}

/// apt with folders of its own.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn prepare(folder: &Path) -> Result<Self> {
        Self::prepare_with(folder, |source| source.with_suite(SUITE))
    }

    /// For the packages of the machine's own release.
    fn prepare_release(folder: &Path) -> Result<Self> {
        Self::prepare_with(folder, |source| source.with_suite(&source.suites.join(" ")))
    }

    fn prepare_with(folder: &Path, source: impl FnOnce(&Source) -> String) -> Result<Self> {
        ensure!(
            shell::on_path("apt-get") && shell::on_path("dpkg-deb"),
            "this machine has no apt, and the peers are Debian packages"
        );
        for part in ["state/lists/partial", "cache/archives/partial", "archives"] {
            fs::create_dir_all(folder.join(part))?;
        }
        fs::write(folder.join("state/status"), "")?;
        fs::write(folder.join("peers.sources"), source(&machine_source()?))?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn update(&self) -> Result<()> {
        retried(|| shell::run(&mut self.command(&["update", "--error-on=any"])))
    }

    /// Downloads one package and says where it lies.
    fn download(&self, package: &str) -> Result<PathBuf> {
        let archives = self.folder.join("archives");
        retried(|| shell::run(self.command(&["download", package]).current_dir(&archives)))?;
        let prefix = format!("{package}_");
        let found = fs::read_dir(&archives)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
            .max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
        found.with_context(|| format!("apt downloaded no {package}"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = shell::command("apt-get", &["-q", "-o", "Acquire::Languages=none"]);
        command.args(["-o", "Acquire::Retries=3", "-o", "APT::Sandbox::User=root"]);
        for (option, path) in [
            ("Dir::State", "state"),
            ("Dir::State::status", "state/status"),
            ("Dir::Cache", "cache"),
            ("Dir::Etc::sourcelist", "peers.sources"),
        ] {
            command.arg("-o").arg(format!("{option}={}", self.folder.join(path).display()));
        }
        command.args(["-o", "Dir::Etc::sourceparts=-"]).args(arguments);
        command
    }
}

fn retried(mut attempt: impl FnMut() -> Result<()>) -> Result<()> {
    for _ in 1..ATTEMPTS {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(error) => eprintln!("{error:#}; trying again"),
        }
    }
    attempt()
}

/// What is needed of one entry of the machine's package sources.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uris: String,
    suites: Vec<String>,
    signed_by: Option<String>,
}

impl Source {
    fn with_suite(&self, suite: &str) -> String {
        let signed_by =
            self.signed_by.as_ref().map(|keys| format!("Signed-By: {keys}\n")).unwrap_or_default();
        format!("Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n{signed_by}", self.uris)
    }
}

/// The entry from which this machine gets its own release.
fn machine_source() -> Result<Source> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let fields: HashMap<_, _> = release.lines().filter_map(|line| line.split_once('=')).collect();
    let field = |name| fields.get(name).copied().unwrap_or_default().trim_matches('"');
    ensure!(field("ID") == "debian", "this is no Debian machine, and the peers are Debian packages");
    let codename = field("VERSION_CODENAME");
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(parts) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(parts.filter_map(|entry| entry.ok().map(|entry| entry.path())));
    }
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let deb822 = file.extension().is_some_and(|extension| extension == "sources");
        let sources = if deb822 { parse_stanzas(&text) } else { parse_lines(&text) };
        if let Some(source) = sources.into_iter().find(|source| source.suites.iter().any(|s| s == codename)) {
            return Ok(source);
        }
    }
    bail!("no package source of this machine names its own suite, {codename:?}")
}

/// The form of `*.sources` files; see `sources.list(5)`, "DEB822-STYLE FORMAT".
fn parse_stanzas(text: &str) -> Vec<Source> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let stanzas = lines.split(|line| line.trim().is_empty());
    stanzas
        .filter_map(|stanza| {
            let fields: HashMap<_, _> = stanza
                .iter()
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
                .collect();
            let types = fields.get("types")?;
            types.split_whitespace().any(|kind| kind == "deb").then_some(())?;
            Some(Source {
                uris: (*fields.get("uris")?).to_owned(),
                suites: fields.get("suites")?.split_whitespace().map(str::to_owned).collect(),
                signed_by: fields.get("signed-by").map(|keys| (*keys).to_owned()),
            })
        })
        .collect()
}

/// The form of `*.list` files: `deb [option=value …] URI SUITE COMPONENT…`.
fn parse_lines(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| {
            let rest = line.trim().strip_prefix("deb ")?.trim_start();
            let (options, rest) = match rest.strip_prefix('[') {
                Some(rest) => rest.split_once(']')?,
                None => ("", rest),
            };
            let mut words = rest.split_whitespace();
            Some(Source {
                uris: words.next()?.to_owned(),
                suites: vec![words.next()?.to_owned()],
                signed_by: options
                    .split_whitespace()
                    .find_map(|option| option.strip_prefix("signed-by="))
                    .map(str::to_owned),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uris: &str, suites: &[&str], signed_by: Option<&str>) -> Source {
        Source {
            uris: uris.to_owned(),
            suites: suites.iter().map(|suite| (*suite).to_owned()).collect(),
            signed_by: signed_by.map(str::to_owned),
        }
    }

    #[test]
    fn both_forms_of_source_files_are_read() {
        let stanzas = "Types: deb\n# a remark\nURIs: http://mirror.test/debian\nSuites: stable stable-updates\n\
                       Components: main\nSigned-By: /keys.gpg\n\nTypes: deb-src\nURIs: http://x.test\nSuites: stable\n";
        let keys = Some("/keys.gpg");
        assert_eq!(
            parse_stanzas(stanzas),
            [source("http://mirror.test/debian", &["stable", "stable-updates"], keys)]
        );
        let lines = "# none\ndeb-src http://x.test stable main\n\
                     deb [arch=amd64 signed-by=/keys.gpg] http://mirror.test/debian stable main\n";
        assert_eq!(parse_lines(lines), [source("http://mirror.test/debian", &["stable"], keys)]);
    }

    #[test]
    fn the_suite_is_replaced_and_the_rest_is_kept() {
        assert_eq!(
            source("http://mirror.test/debian", &["stable"], Some("/keys.gpg")).with_suite("unstable"),
            "Types: deb\nURIs: http://mirror.test/debian\nSuites: unstable\nComponents: main\nSigned-By: /keys.gpg\n"
        );
    }
}
