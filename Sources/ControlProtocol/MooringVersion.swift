/// The version of this release, which every program of it prints.
public let mooringVersion = "0.1.0"
