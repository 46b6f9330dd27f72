/// The version of this release, which all programs of it have.
public let releaseVersion = "0.1.0"

/// What `--version` of a program prints, such as `mooringd 0.1.0`.
public func versionText(of program: String) -> String { "\(program) \(releaseVersion)" }
