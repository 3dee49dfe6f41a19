/**
 * The Flink side of the comparison: the seeded Nexmark generator as a Flink source, the queries in SQL and in the DataStream API, and the
 * driver that a measuring program tells by lines of text which job to run.
 *
 * <p>It measures nothing. The source writes how far it is into a file that is mapped into memory ({@link Counts}); whoever measures
 * reads that file and the processor time of the TaskManagers at the same moment.
 */
package thalweg;
