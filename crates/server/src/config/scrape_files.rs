//! `scrape_config_files`: jobs that stand in files of their own.
//!
//! Each file has the key `scrape_configs` alone. Its relative paths are taken from the folder it is in. What is wrong with one
//! is told where the file was named, with its own place in the message.

use std::path::Path;

use super::{
    matching_files, read_limited,
    scrape::{Global, ScrapeConfig, read_scrape_configs},
    section::{Findings, Section},
    tree::Node,
};

/// Reads the jobs of all files that the patterns name; `known` are those of the configuration itself.
pub(super) fn read_scrape_files(
    patterns: &[Node],
    global: &Global,
    folder: &Path,
    known: Vec<ScrapeConfig>,
    findings: &mut Findings,
) -> Vec<ScrapeConfig> {
    let mut jobs = known;
    for node in patterns {
        let Some(pattern) =
            super::section::read_scalar(node, "each of `scrape_config_files`", pattern, findings)
        else {
            continue;
        };
        for path in matching_files(&folder.join(&pattern)) {
            match read_file(&path, global) {
                Ok(found) => {
                    for job in found {
                        if jobs.iter().any(|earlier| earlier.job_name == job.job_name) {
                            let name = &job.job_name;
                            findings.add(
                                &node.place,
                                format!(
                                    "{}: job name `{name}` stands twice; give each job its own",
                                    path.display()
                                ),
                            );
                        }
                        jobs.push(job);
                    }
                }
                Err(why) => findings.add(&node.place, why),
            }
        }
    }
    jobs
}

fn read_file(path: &Path, global: &Global) -> Result<Vec<ScrapeConfig>, String> {
    let text = read_limited(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let read = barograph_yaml::read(&text, &path.display().to_string(), |root, findings| {
        let mut section = Section::open(&root, "a file of jobs", findings);
        let jobs = read_scrape_configs(section.items("scrape_configs", findings), global, folder, findings);
        section.finish(&[], findings);
        jobs
    });
    read.map_err(|faults| faults.to_string())
}

fn pattern(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("expected the path of a file".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn jobs_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("jobs")).unwrap();
        write("jobs/a.yml", "scrape_configs: [{job_name: a, file_sd_configs: [{files: [x.json]}]}]");
        write("jobs/b.yml", "scrape_configs: [{job_name: b}]");
        let text = "global: {scrape_interval: 7s}\nscrape_configs: [{job_name: c}]\nscrape_config_files: ['jobs/*.yml']";
        let read = |text: &str| Config::parse(text, "test", folder.path(), []);
        let config = read(text).unwrap();
        let names: Vec<_> = config.scrape_configs.iter().map(|job| job.job_name.as_str()).collect();
        assert_eq!(names, ["c", "a", "b"]);
        assert_eq!(config.scrape_configs[1].scrape_interval.as_secs(), 7);
        assert_eq!(
            config.scrape_configs[1].discovery.file_sd_configs[0].files,
            [folder.path().join("jobs/x.json")]
        );

        write("jobs/b.yml", "scrape_configs: [{job_name: c}]\n");
        assert!(read(text).unwrap_err().to_string().contains("b.yml: job name `c` stands twice"));
        write("jobs/b.yml", "scrape_configs: [{job_name: b, consul_sd_configs: [{server: x}]}]\n");
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains("b.yml:1:32: `consul_sd_configs` is not supported; let a program"), "{error}");
    }
}
