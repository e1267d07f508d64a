// SPDX-License-Identifier: Apache-2.0
// Writes the automaton in Stanford CoreNLP's PTBLexer (class path: its jar): a line a table.
import java.lang.reflect.Array;
import java.lang.reflect.Field;

public class PtbTables {
  public static void main(String[] arguments) throws Exception {
    Class<?> lexer = Class.forName("edu.stanford.nlp.process.PTBLexer");
    StringBuilder out = new StringBuilder();
    for (String name : new String[] {"CMAP", "ACTION", "ROWMAP", "TRANS", "ATTRIBUTE"}) {
      Field field = lexer.getDeclaredField("ZZ_" + name);
      field.setAccessible(true);
      Object table = field.get(null);
      out.append(name);
      for (int i = 0; i < Array.getLength(table); ++i) {
        Object item = Array.get(table, i);
        out.append(' ').append(item instanceof Character ? (int) (Character) item : (Integer) item);
      }
      out.append('\n');
    }
    System.out.print(out);
  }
}
