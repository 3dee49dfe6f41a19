package thalweg;

import org.apache.flink.table.functions.ScalarFunction;

/** How often a character occurs in a string; q14 shows a user's own function by it. */
public final class CountChar extends ScalarFunction {
    public long eval(String text, String character) {
        long count = 0;
        if (text != null) {
            char wanted = character.charAt(0);
            for (int i = 0; i < text.length(); i++) {
                if (text.charAt(i) == wanted) {
                    count++;
                }
            }
        }
        return count;
    }
}
