import Release

/// The version of this release, as programs tell it each other.
public let mooringVersion = releaseVersion
