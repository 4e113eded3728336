/** Somebody wants it to end. */
export class Interrupted extends Error {}

/** The log or a sale needs a day that was asked for. */
export class DayNeeded extends Error {}

/** The rows of a day are not what was decided. */
export class DayUnsound extends Error {}

/** What is in the folder of archives is not what it should be. */
export class ArchiveProblem extends Error {}
